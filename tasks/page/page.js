// Unpacks the plotting library, draws the page's figures in the page's own colours, swaps axes and leaves, sorts.
"use strict";
(() => {
  const read = (element) => JSON.parse(element.textContent);
  const figures = [...document.querySelectorAll("script.figure")].map((e) => [e.dataset.for, read(e)]);
  const { axes, within } = read(document.getElementById("axes"));
  const byId = (id) => document.getElementById(id);
  const names = ["ink", "muted", "line", "front", "good", "bad", "card"];

  async function unpack() {
    const packed = Uint8Array.from(atob(byId("plotly").textContent), (letter) => letter.charCodeAt(0));
    const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const library = document.createElement("script");
    library.textContent = await new Response(plain).text();
    document.head.append(library);
  }

  function coloured(figure) {
    const style = getComputedStyle(document.documentElement);
    let text = JSON.stringify(figure);
    for (const name of names) text = text.replaceAll(`@${name}`, style.getPropertyValue(`--${name}`).trim());
    return JSON.parse(text);
  }

  function picked(id, figure, narrow) {
    if (id === "scatter") {
      const [x, y] = [byId("scatter-x").value, byId("scatter-y").value];
      const all = !byId("within") || !byId("within").checked;
      for (const trace of figure.data) {
        if (narrow && within.length > 12 && !["chosen", "reference"].includes(trace.name)) trace.mode = "markers";
        const kept = [...trace.ids.keys()].filter((i) => all || within[trace.ids[i]]);
        for (const key of ["ids", "text", "customdata"]) trace[key] = kept.map((i) => trace[key][i]);
        trace.x = trace.ids.map((k) => axes[x][k]);
        trace.y = trace.ids.map((k) => axes[y][k]);
      }
      aside(figure.data, axes[x]);
      figure.layout.xaxis.title = { text: x };
      figure.layout.yaxis.title = { text: y };
    } else if (id.startsWith("waterfall-")) {
      for (const trace of figure.data) trace.visible = trace.name === byId("leaf").value;
      figure.layout.yaxis = { ...figure.layout.yaxis, range: figure.layout.meta.range[byId("leaf").value] };
    }
    return figure;
  }

  // Names stand on the side where there is room, by turns above and below their points.
  function aside(traces, values) {
    const order = [...values.keys()].sort((a, b) => values[a] - values[b]);
    const middle = (Math.min(...values) + Math.max(...values)) / 2;
    for (const trace of traces) {
      trace.textposition = trace.ids.map((k) =>
        `${order.indexOf(Number(k)) % 2 ? "bottom" : "top"} ${values[k] > middle ? "left" : "right"}`);
    }
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
      const [first] = figure.data;
      if (first.type === "heatmap") place.style.minWidth = `${190 + 15 * first.x.length}px`; // scrolls in its frame
      const narrow = place.clientWidth < 520;
      const own = picked(id, structuredClone(figure), narrow);
      const { data, layout } = coloured({ data: own.data, layout: framed(own.layout, narrow) });
      Plotly.react(place, data, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
    }
  }

  const figureOf = (cell) => Number.parseFloat(cell.textContent.replace(/[^\d.eE+-]/g, (found) => (found === "−" ? "-" : "")));

  function sort(table, column, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const words = heading.classList.contains("text") || column === 0;
    const key = (row) => (words ? row.cells[column].textContent.replace(/[└\s]/g, "") : figureOf(row.cells[column]));
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (words ? a.localeCompare(b, undefined, { numeric: true }) : (Number.isNaN(a) ? 0 : a) - (Number.isNaN(b) ? 0 : b)));
    if (down) rows.reverse();
    table.tBodies[0].append(...rows.map(([, row]) => row));
    table.classList.add("sorted");
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, column, heading));
      heading.append(button);
    });
  }

  function listen() {
    for (const id of ["scatter-x", "scatter-y", "within"]) byId(id)?.addEventListener("change", () => draw((name) => name === "scatter"));
    byId("leaf")?.addEventListener("change", () => draw((name) => name.startsWith("waterfall-")));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
    const closed = [...document.querySelectorAll("details:not(.numbers):not([open])")];
    addEventListener("beforeprint", () => paper(true, closed));
    addEventListener("afterprint", () => paper(false, closed));
  }

  function paper(on, closed) {
    document.documentElement.classList.toggle("light", on);
    for (const each of closed) each.open = on;
    draw();
  }

  unpack().then(() => { draw(); listen(); dispatchEvent(new Event("drawn")); }).catch((fault) => {
    byId("no-charts").hidden = false;
    console.error(fault);
  });
})();
