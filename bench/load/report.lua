-- Checks the status of every answer, and prints what a window saw as one line of JSON.
local thread
function setup(one)
  thread = one
end

local expected = tonumber(os.getenv("EXPECTED"))
wrong, first_wrong = 0, ""
function response(status, _, body)
  if status ~= expected then
    wrong = wrong + 1
    if wrong == 1 then
      first_wrong = string.format("%d %s", status, string.sub(body, 1, 300))
    end
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "micros": %d, "p50_us": %d, "p99_us": %d, "socket_errors": %d, "wrong": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, thread:get("wrong")
  ))
  if thread:get("wrong") > 0 then
    io.stderr:write("first wrong answer: ", thread:get("first_wrong"), "\n")
  end
end
