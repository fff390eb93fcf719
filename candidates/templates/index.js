(function () {
  "use strict";
  var table = document.getElementById("list");
  if (!table) { return; }
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows);
  var form = document.getElementById("filters");
  var field = function (name) { return document.getElementById(name); };
  var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });
  var here = -1;
  rows.forEach(function (row, number) { row.number = number; });

  function visible() { return rows.filter(function (row) { return !row.hidden; }); }

  function filter() {
    var words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    var probability = parseFloat(field("probability").value);
    var snr = parseFloat(field("snr").value);
    var disposition = field("disposition").value;
    var flux = field("flux").value;
    var review = field("review").value;
    var shown = 0;
    rows.forEach(function (row) {
      var data = row.dataset;
      var good = words.every(function (word) { return texts[row.number].indexOf(word) >= 0; }) &&
        (isNaN(probability) || parseFloat(data.probability) >= probability) &&
        (isNaN(snr) || parseFloat(data.snr) >= snr) &&
        (!disposition || data.disposition === disposition) && (!flux || data.flux === flux) &&
        (!review || (review === "-" ? !data.review : review === "+" ? !!data.review : data.review === review));
      row.hidden = !good;
      if (good) { shown += 1; }
    });
    field("count").textContent = shown + " of " + rows.length + " shown";
    field("nothing").hidden = shown > 0;
    mark(-1);
  }

  function sort(button) {
    var key = button.dataset.sort;
    var head = button.parentNode;
    var falling = head.getAttribute("aria-sort") === "descending" ? false :
      head.getAttribute("aria-sort") === "ascending" ? true : ["probability", "snr", "depth"].indexOf(key) >= 0;
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) { cell.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    var words = ["target", "flux", "disposition", "review"].indexOf(key) >= 0;
    rows.sort(function (a, b) {
      var x = a.dataset[key], y = b.dataset[key];
      if (x === "" || y === "") { return (x === "") - (y === "") || a.dataset.rank - b.dataset.rank; }
      var order = words ? x.localeCompare(y, undefined, { numeric: true }) : parseFloat(x) - parseFloat(y);
      return (falling ? -order : order) || a.dataset.rank - b.dataset.rank;
    });
    rows.forEach(function (row) { body.appendChild(row); });
    mark(-1);
  }

  function mark(number) {
    var list = visible();
    if (here >= 0) { rows.forEach(function (row) { row.classList.remove("here"); }); }
    here = list.length ? Math.max(-1, Math.min(number, list.length - 1)) : -1;
    if (here >= 0) {
      list[here].classList.add("here");
      list[here].focus({ preventScroll: true });
      list[here].scrollIntoView({ block: "nearest" });
    }
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { window.setTimeout(filter, 0); });
  table.tHead.addEventListener("click", function (event) {
    if (event.target.dataset.sort) { sort(event.target); }
  });
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    var typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing) {
      if (event.key === "Escape") { event.target.blur(); }
      return;
    }
    if (event.key === "j") { mark(here + 1); event.preventDefault(); }
    if (event.key === "k") { mark(Math.max(here - 1, 0)); event.preventDefault(); }
    if (event.key === "/") { field("text").focus(); event.preventDefault(); }
    if (event.key === "Enter" && here >= 0 && !/^(A|BUTTON)$/.test(event.target.tagName)) {
      visible()[here].querySelector("a").click();
    }
  });
  filter();
}());
