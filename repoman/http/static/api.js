// Starts Swagger UI on the page of the REST API. What it needs to know stands in its own element.
const script = document.currentScript;

window.addEventListener("load", () => {
  const urls = JSON.parse(script.dataset.urls);
  SwaggerUIBundle({
    dom_id: "#swagger-ui",
    urls,
    layout: "StandaloneLayout",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    deepLinking: true,
    validatorUrl: null, // It would send the description to another host.
    docExpansion: "none",
    requestInterceptor(request) {
      if (script.dataset.proof) {
        request.headers["NX-ANTI-CSRF-TOKEN"] = script.dataset.proof;
      }
      return request;
    },
  });
});
