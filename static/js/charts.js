/* <canvas data-chart="id"> draws what <script type="application/json" id="id"> says: {type, labels, urls, series: [{label,
   color, data}], stacked, suffix, max}. Colours are the page's own, drawn anew when the theme changes; mirrored in Arabic.
   The same numbers stand in a table beside it, so nothing is lost without this file. */
(() => {
  if (!window.Chart) return;
  const root = document.documentElement, isRtl = root.dir === "rtl";
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const grouped = (value) => value.toLocaleString("en");
  let charts = [];

  const dataset = (series, isLine) => ({
    label: series.label,
    data: series.data,
    backgroundColor: isLine ? "transparent" : css(series.color),
    borderColor: isLine ? css(series.color) : css("--c-surface"),
    borderWidth: isLine ? 2 : { top: 1, bottom: 0, left: 0, right: 0 },
    borderDash: series.dashed ? [5, 4] : [],
    pointRadius: isLine && series.data.length === 1 ? 4 : 0,
    pointHoverRadius: 4,
    tension: 0.3,
    spanGaps: true,
    borderRadius: isLine ? 0 : 3,
    borderSkipped: false,
    maxBarThickness: 44,
    barPercentage: 0.72,
    categoryPercentage: 0.86,
  });

  function draw(canvas) {
    const source = document.getElementById(canvas.dataset.chart);
    if (!source) return null;
    const told = JSON.parse(source.textContent), isLine = told.type === "line";
    const font = { family: '"Plex Arabic", sans-serif', size: 11 }, grid = css("--c-line"), text = css("--c-text-3");
    const words = (value) => `${grouped(value)}${told.suffix || ""}`;
    return new window.Chart(canvas, {
      type: told.type,
      data: { labels: told.labels, datasets: told.series.map((series) => dataset(series, isLine)) },
      options: {
        responsive: true,
        maintainAspectRatio: false,
        animation: false,
        locale: "en",
        interaction: { mode: "index", intersect: false },
        onHover: (event, found) => { event.native.target.style.cursor = told.urls && found.length ? "pointer" : ""; },
        onClick: (_event, found) => { if (told.urls && found.length) location.assign(told.urls[found[0].index]); },
        plugins: {
          legend: { display: false },
          tooltip: {
            rtl: isRtl, textDirection: isRtl ? "rtl" : "ltr", bodyFont: font, titleFont: font, padding: 10, cornerRadius: 8, boxPadding: 4,
            backgroundColor: css("--c-text"), titleColor: css("--c-surface"), bodyColor: css("--c-surface"),
            callbacks: { label: (item) => ` ${item.dataset.label}: ${item.raw === null ? "–" : words(item.raw)}` },
          },
        },
        scales: {
          x: { reverse: isRtl, stacked: Boolean(told.stacked), grid: { display: false }, border: { color: grid }, ticks: { color: text, font, maxRotation: 0, autoSkipPadding: 14 } },
          y: { position: isRtl ? "right" : "left", stacked: Boolean(told.stacked), beginAtZero: true, max: told.max, border: { display: false }, grid: { color: grid }, ticks: { color: text, font, maxTicksLimit: 5, precision: 0, callback: words } },
        },
      },
    });
  }

  function drawAll() {
    charts.forEach((chart) => chart.destroy());
    charts = [...document.querySelectorAll("canvas[data-chart]")].map(draw).filter(Boolean);
  }

  document.fonts.ready.then(() => {
    drawAll();
    new MutationObserver(drawAll).observe(root, { attributeFilter: ["data-bs-theme"] });
  });
})();
