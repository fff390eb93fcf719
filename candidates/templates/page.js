(function () {
  "use strict";
  var code = document.getElementById("command");
  var told = document.getElementById("copied");
  function select() {
    var range = document.createRange();
    range.selectNodeContents(code);
    var chosen = window.getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
  }
  function copy() {
    function done(good) { told.textContent = good ? "copied" : "press Ctrl+C to copy"; }
    function old() { select(); try { done(document.execCommand("copy")); } catch (error) { done(false); } }
    if (navigator.clipboard && navigator.clipboard.writeText) {
      navigator.clipboard.writeText(code.textContent).then(function () { done(true); }, old);
    } else { old(); }
  }
  document.getElementById("copy").addEventListener("click", copy);
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.key === "c") { copy(); }
    if (event.key === "u") { document.getElementById("back").click(); }
  });
}());
