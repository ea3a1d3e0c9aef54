// Draws the page's figures in the page's own colours, and swaps axes and leaves.
"use strict";
(() => {
  const read = (element) => JSON.parse(element.textContent);
  const figures = [...document.querySelectorAll("script.figure")].map((e) => [e.dataset.for, read(e)]);
  const axes = read(document.getElementById("axes"));
  const byId = (id) => document.getElementById(id);
  const names = ["ink", "muted", "line", "front", "good", "bad", "card"];

  function coloured(figure) {
    const style = getComputedStyle(document.documentElement);
    let text = JSON.stringify(figure);
    for (const name of names) text = text.replaceAll(`@${name}`, style.getPropertyValue(`--${name}`).trim());
    return JSON.parse(text);
  }

  function picked(id, figure) {
    if (id === "scatter") {
      const [x, y] = [byId("scatter-x").value, byId("scatter-y").value];
      for (const trace of figure.data) {
        trace.x = trace.ids.map((k) => axes[x][k]);
        trace.y = trace.ids.map((k) => axes[y][k]);
      }
      figure.layout.xaxis.title = { text: x };
      figure.layout.yaxis.title = { text: y };
    } else if (id.startsWith("waterfall-")) {
      figure.data.forEach((trace, k) => { trace.visible = k === Number(byId("leaf").value); });
    }
    return figure;
  }

  function framed(layout, narrow) {
    const axis = { gridcolor: "@line", zerolinecolor: "@line", linecolor: "@line", automargin: true };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { color: "@ink", family: "system-ui, sans-serif", size: 13 }, hoverlabel: { align: "left" },
      margin: { l: 55, r: narrow ? 10 : 25, t: 40, b: 45 },
      colorway: ["@front", "@good", "@bad", "@muted", "#a06bd6", "#c98a1b", "#1f9aa0", "#c75591", "#7d8f2c", "#8a6a55"],
    };
    const under = narrow ? { legend: { orientation: "h", y: -0.25 } } : {};
    return { ...base, ...layout, ...under, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis } };
  }

  function draw(only) {
    for (const [id, figure] of figures) {
      const place = byId(id);
      if (!place || (only && !only(id))) continue;
      const own = picked(id, structuredClone(figure));
      const { data, layout } = coloured({ data: own.data, layout: framed(own.layout, place.clientWidth < 520) });
      Plotly.react(place, data, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
    }
  }

  draw();
  for (const id of ["scatter-x", "scatter-y"]) byId(id).addEventListener("change", () => draw((name) => name === "scatter"));
  if (byId("leaf")) byId("leaf").addEventListener("change", () => draw((name) => name.startsWith("waterfall-")));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
})();
