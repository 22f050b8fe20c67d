// Forms that filter: a choice from a list is used at once, and empty fields stay out of the address.

for (const form of document.querySelectorAll("form[data-submits]")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("select, input[type=checkbox], input[type=radio]")) form.requestSubmit();
  });
  addEventListener("pageshow", () => {
    for (const field of form.elements) field.disabled = false;
  });
}
const filters = document.getElementById("filters");
if (filters && matchMedia("(max-width: 720px)").matches) filters.open = false;
