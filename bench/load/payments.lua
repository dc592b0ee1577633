-- One new payment per request, tenants in turn. PREFIX makes the keys and references of one window its own.
dofile(os.getenv("REPORT"))
local prefix = os.getenv("PREFIX")
local keys = { os.getenv("KEY_1"), os.getenv("KEY_2") }
local count = 0
local body = '{"merchant_reference":"%s-%d","amount":"162.48","currency":"USD","deposit_method":"bank","customer":'
  .. '{"id":"C-%d","name":"Dana Reyes","email":"dana@reyes.example","phone":"+1 253 555 0142","nationality":"us",'
  .. '"language":"en-us","device":"pc"},"metadata":{"warehouse":"north"}}'
math.randomseed(os.time())

local think_ms = tonumber(os.getenv("THINK_MS"))
if think_ms > 0 then
  -- Before each request; wrk's latencies begin after it.
  function delay()
    return math.random(0, think_ms)
  end
end

function request()
  count = count + 1
  local headers = {
    ["Content-Type"] = "application/json",
    ["Authorization"] = "Bearer " .. keys[count % 2 + 1],
    -- Random in front: the keys that tenants choose do not come in the order of an index.
    ["Idempotency-Key"] = string.format("%08x-%s-%d", math.random(0, 2147483647), prefix, count),
  }
  return wrk.format("POST", "/v1/payments", headers, string.format(body, prefix, count, count))
end
