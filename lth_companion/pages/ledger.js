// Filters of the claim ledger: every select and the search field narrow the rows; the address can name one claim.
(() => {
  const ledger = document.currentScript.closest(".ledger");
  const rows = [...ledger.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const selects = [...ledger.querySelectorAll("select")];
  const search = ledger.querySelector("input");
  const count = ledger.querySelector("output");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = selects.every((s) => !s.value || row.dataset[s.name].split(" ").includes(s.value))
        && words.every((word) => texts[i].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = `${shown} of ${rows.length} claims`;
  };
  const open = () => {
    const row = location.hash.startsWith("#claim-") && document.getElementById(location.hash.slice(1));
    if (!row || !ledger.contains(row)) return;
    row.hidden = false;
    row.querySelector("details").open = true;
    row.scrollIntoView();
  };
  selects.forEach((s) => s.addEventListener("change", filter));
  search.addEventListener("input", filter);
  ledger.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  ledger.querySelector("form").addEventListener("reset", () => setTimeout(filter));
  window.addEventListener("hashchange", open);
  filter();
  open();
})();
