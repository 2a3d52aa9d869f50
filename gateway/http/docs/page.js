// Shows the REST calls in the viewer; without it the plain list below stays.

const dark = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

follow();
dark.addEventListener("change", follow);
window.SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("viewer"),
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  onComplete: () => document.getElementById("plain").removeAttribute("open"),
});
