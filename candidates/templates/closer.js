(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("closer-data").textContent);
  var style = getComputedStyle(document.documentElement);
  function colour(name) { return style.getPropertyValue(name).trim(); }
  var ink = colour("--ink"), line = colour("--line"), mark = "#c2410c", soft = "#8b95a5";
  var time = [], now = 0;
  data.steps.forEach(function (step) { now += step; time.push(data.start + now / 1e5); });

  function since(t, period) {  // days from the nearest transit
    var x = (t - data.epoch) / period;
    return (x - Math.round(x)) * period;
  }
  function inside(t) { return Math.abs(since(t, data.period)) <= data.duration / 2; }
  function dots(name, stroke, size) {
    return { label: name, stroke: stroke, width: 0, paths: function () { return null; },
      points: { show: true, size: size, width: 0, fill: stroke, stroke: stroke } };
  }
  function axis(label, more) {
    return Object.assign({ label: label, stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } }, more);
  }
  function plain(_, ticks) {
    return ticks.map(function (tick) { return tick === null ? "" : String(Number(tick.toPrecision(10))); });
  }
  function chart(id, label, unit, series, values, more) {
    var place = document.getElementById(id);
    place.textContent = "";
    var options = Object.assign({
      width: Math.max(place.clientWidth, 280), height: 320, cursor: { drag: { x: true, y: true, uni: 20 } },
      scales: { x: { time: false } }, axes: [axis(label, { values: plain }), axis(unit, { size: 80 })],
      series: [{ label: label, value: function (_, v) { return v === null ? "" : v.toFixed(5); } }].concat(series)
    }, more);
    return new uPlot(options, values, place);
  }

  var curve, fold, spectrum;
  function drawCurve() {
    var flux = data[document.getElementById("closer-flux").value];
    curve = chart("closer-curve", "time, BTJD days", "flux − 1, ppm", [dots("flux", soft, 3), dots("in transit", mark, 4)],
      [time, flux.map(function (v, i) { return inside(time[i]) ? null : v; }),
        flux.map(function (v, i) { return inside(time[i]) ? v : null; })]);
  }
  function drawFold() {
    var factor = Number(document.getElementById("closer-factor").value);
    var shift = Number(document.getElementById("closer-shift").value);
    var period = data.period * factor, near = document.getElementById("closer-near").checked;
    var reach = near ? Math.min(3 * data.duration, period / 2) : period / 2;
    var points = [];
    time.forEach(function (t, i) {
      var x = since(t - shift * period, period);
      if (Math.abs(x) <= reach) { points.push([x * 24, data.flat[i]]); }
    });
    points.sort(function (a, b) { return a[0] - b[0]; });
    var bins = near ? 60 : 200, sums = [], i;
    for (i = 0; i < bins; i++) { sums.push([0, 0, 0]); }
    points.forEach(function (p) {
      var bin = sums[Math.min(bins - 1, Math.max(0, Math.floor((p[0] / 24 + reach) / (2 * reach) * bins)))];
      bin[0] += p[0]; bin[1] += p[1]; bin[2] += 1;
    });
    var means = sums.filter(function (s) { return s[2] > 0; }).map(function (s) { return [s[0] / s[2], s[1] / s[2]]; });
    var all = points.map(function (p) { return [p[0], p[1], null]; })
      .concat(means.map(function (p) { return [p[0], null, p[1]]; }));
    all.sort(function (a, b) { return a[0] - b[0]; });
    fold = chart("closer-fold", "hours from phase " + shift, "flux − 1, ppm",
      [dots("cadences", soft, 2), dots("averages", ink, 6)],
      [0, 1, 2].map(function (k) { return all.map(function (p) { return p[k]; }); }));
    document.getElementById("closer-period").textContent = period.toFixed(6) + " d";
  }
  function drawSpectrum() {
    if (!data.periods.length) { document.getElementById("closer-spectrum").textContent = "the search kept no spectrum"; return; }
    spectrum = chart("closer-spectrum", "period, days", "signal-to-noise", [{ label: "S/N", stroke: ink, width: 1 }],
      [data.periods, data.power], { scales: { x: { time: false, distr: 3, range: [data.periods[0], data.periods[data.periods.length - 1]] } } });
  }
  function drawScan() {
    if (!data.scan) { document.getElementById("closer-scan").textContent = "no phase is seen in two orbits"; return; }
    var line = data.scan.phase.map(function () { return data.scan.line; });
    chart("closer-scan", "phase, periods from mid-transit", "depth over its error",
      [{ label: "σ", stroke: ink, width: 1, points: { show: false } },
        { label: "3 σ for a look at every phase", stroke: mark, width: 1, dash: [8, 5], points: { show: false } }],
      [data.scan.phase, data.scan.sigma, line]);
  }
  function all() { drawCurve(); drawFold(); drawSpectrum(); drawScan(); }
  document.getElementById("closer-flux").addEventListener("change", drawCurve);
  ["closer-factor", "closer-shift", "closer-near"].forEach(function (id) {
    document.getElementById(id).addEventListener("change", drawFold);
  });
  window.addEventListener("resize", all);
  document.getElementById("closer").hidden = false;
  all();
}());
