// The form of the Generate page: a picked prompt goes into the box, and the dial says where it stands.

const prompt = document.getElementById("prompt");
const pick = document.getElementById("pick");
const dial = document.getElementById("strength");
const known = new Set([...document.querySelectorAll("#prompts option")].map((each) => each.value));

pick?.addEventListener("input", () => {
  if (!known.has(pick.value)) return;
  const lines = prompt.value.split("\n").filter((line) => line.trim());
  prompt.value = [...lines, pick.value].join("\n");
  pick.value = "";
  prompt.focus();
});

function show() {
  document.getElementById("strength-shown").textContent = Number(dial.value).toFixed(2);
}
dial?.addEventListener("input", show);
if (dial) show();

// Control and Enter send the form, as people expect of such a box.
prompt?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) prompt.form.requestSubmit();
});
