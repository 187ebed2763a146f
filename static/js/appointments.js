/* The booking form: the department narrows the providers, a provider brings the department along. No request, so that
   nothing chosen meanwhile is lost; without scripts the list simply shows everybody under their department. */
(() => {
  // A patient was picked while the answer to the last letters was still on its way: it must not replace the choice.
  document.addEventListener("change", (event) => {
    if (event.target.name === "patient") document.getElementById("id_patient_search")?.dispatchEvent(new Event("htmx:abort"));
  });
  const department = document.getElementById("id_department"), provider = document.getElementById("id_provider");
  if (!department || !provider) return;
  const groups = [...provider.querySelectorAll("optgroup")];
  const chosenGroup = () => provider.selectedOptions[0]?.closest("optgroup");
  const narrow = () => {
    const name = department.value ? department.selectedOptions[0].text : "";
    const isKnown = groups.some((group) => group.label === name);
    for (const group of groups) group.hidden = group.disabled = isKnown && group.label !== name;
    if (chosenGroup()?.hidden) provider.value = "";
  };
  department.addEventListener("change", narrow);
  provider.addEventListener("change", () => {
    const group = chosenGroup();
    if (!group || department.value) return;
    const own = [...department.options].find((option) => option.text === group.label);
    if (own) { department.value = own.value; narrow(); }
  });
  narrow();
})();
