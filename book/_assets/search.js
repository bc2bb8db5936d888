// Sphinx's weights of search results, and one of ours: a reader with a paper types "Figure 14", which is the title of a
// section of the index of figures. The search page reads this file (_config.yml: html_search_scorer).
var Scorer = {
  score: ([page, , anchor, , score]) => score + (page === "figures" && anchor ? 100 : 0),
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
