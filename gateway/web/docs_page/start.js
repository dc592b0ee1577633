// Shows the document with two changes, so that "Try it out" works wherever the page was opened, and every time:
// requests go to where the page came from, and the example's order has a new reference each time the page is loaded.
const here = new URL(".", location.href).href.replace(/\/$/, "");
const reference = "SO-" + Date.now().toString(36);

function fresh(text) {
  const api = JSON.parse(text.replaceAll("SO-7001", reference));
  return JSON.stringify({...api, servers: [{url: here}]});
}

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  responseInterceptor(answer) {
    if (answer.url === here + "/openapi.json") answer.text = fresh(answer.text);
    return answer;
  },
});
