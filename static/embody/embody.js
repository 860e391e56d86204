/* Copy buttons, relative times, charts, live numbers and proof checks of the staff pages. */
"use strict";

(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // --- Copy -------------------------------------------------------------------------------------

  async function copyText(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Plain HTTP on another machine's address: browsers offer no clipboard there, but still this.
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("readonly", "");
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) return;
    event.preventDefault();
    const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
    await copyText(source ? source.textContent : button.dataset.copy);
    const icon = button.querySelector(".material-symbols-outlined");
    const label = button.querySelector("[data-copy-label]");
    button.classList.add("ep-copied");
    if (icon) icon.textContent = "check";
    if (label) label.textContent = "Copied";
    setTimeout(() => {
      button.classList.remove("ep-copied");
      if (icon) icon.textContent = "content_copy";
      if (label) label.textContent = "Copy";
    }, 1500);
  });

  // --- Relative times ---------------------------------------------------------------------------

  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function relative(instant) {
    const seconds = Math.trunc((Date.now() - instant.getTime()) / 1000);
    for (const [size, unit] of UNITS) {
      if (Math.abs(seconds) >= size) {
        const count = Math.trunc(Math.abs(seconds) / size);
        return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
      }
    }
    return "just now";
  }

  function refreshTimes() {
    if (document.hidden) return;
    for (const time of all("time[data-relative]")) time.textContent = relative(new Date(time.dateTime));
  }

  // --- Charts -----------------------------------------------------------------------------------

  const ETH = 10n ** 18n;

  /** Wei as exact ETH text. */
  function ethText(wei) {
    const size = wei < 0n ? -wei : wei;
    const fraction = (size % ETH).toString().padStart(18, "0").replace(/0+$/, "");
    return `${wei < 0n ? "−" : ""}${size / ETH}${fraction ? "." + fraction : ""}`;
  }

  const grouped = (whole) => whole.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function options(data, exact) {
    const text = colour("--ep-subtle");
    const line = colour("--ep-line");
    const values = data.horizontal ? "x" : "y";
    const names = data.horizontal ? "y" : "x";
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      indexAxis: data.horizontal ? "y" : "x",
      interaction: { mode: "index", axis: names, intersect: false },
      onClick: (event, hits) => {
        const link = hits.length && data.links[hits[0].index];
        if (link) window.location.assign(link);
      },
      onHover: (event, hits) => {
        event.native.target.style.cursor = hits.length && data.links[hits[0].index] ? "pointer" : "default";
      },
      scales: {
        [names]: {
          stacked: true,
          grid: { display: false },
          border: { color: line },
          ticks: { color: text, maxRotation: 0, autoSkip: !data.horizontal, autoSkipPadding: 16 },
        },
        [values]: {
          stacked: true,
          beginAtZero: true,
          grid: { color: line },
          border: { display: false },
          ticks: { color: text, maxTicksLimit: 6, precision: data.unit === "count" ? 0 : undefined },
          title: { display: data.unit === "eth", text: "ETH", color: text },
        },
      },
      plugins: {
        legend: { display: data.series.length > 1, position: "bottom", labels: { color: text, boxWidth: 12, boxHeight: 12 } },
        tooltip: {
          callbacks: {
            label: (item) => {
              const value = exact[item.datasetIndex][item.dataIndex];
              const name = item.dataset.label;
              if (data.unit !== "eth") return ` ${name}: ${grouped(value)}`;
              return [` ${name}: ${ethText(value)} ETH`, `   ${grouped(value)} wei`];
            },
          },
        },
      },
    };
  }

  function draw(canvas) {
    const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
    const exact = data.series.map((series) => series.values.map(BigInt));
    const datasets = data.series.map((series, index) => {
      const tint = colour(`--ep-chart-${(index % 5) + 1}`);
      return {
        label: series.name,
        // Only where a pixel goes is rounded; what is read on hover is exact.
        data: exact[index].map((value) => (data.unit === "eth" ? Number(value) / 1e18 : Number(value))),
        backgroundColor: data.kind === "line" ? `color-mix(in oklab, ${tint} 18%, transparent)` : tint,
        borderColor: tint,
        borderWidth: data.kind === "line" ? 2 : 0,
        borderRadius: data.kind === "bar" ? 3 : 0,
        fill: data.kind === "line",
        pointRadius: 0,
        pointHoverRadius: 4,
        tension: 0.25,
        maxBarThickness: 36,
      };
    });
    canvas.chart?.destroy();
    canvas.chart = new Chart(canvas, { type: data.kind, data: { labels: data.labels, datasets }, options: options(data, exact) });
  }

  function charts() {
    const canvases = all("canvas[data-chart]");
    canvases.forEach(draw);
    if (!canvases.length) return;
    // Canvas does not follow the stylesheet by itself.
    new MutationObserver(() => canvases.forEach(draw)).observe(document.documentElement, { attributeFilter: ["class"] });
  }

  // --- Live numbers -----------------------------------------------------------------------------

  function live() {
    const sign = document.querySelector("[data-live-url]");
    if (!sign) return;
    const show = (state, text) => {
      sign.dataset.state = state;
      sign.textContent = text;
    };
    async function refresh() {
      if (document.hidden) return show("paused", "Paused");
      try {
        const answer = await fetch(sign.dataset.liveUrl, { headers: { Accept: "application/json" }, credentials: "same-origin" });
        if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
        const numbers = await answer.json();
        for (const [key, { text, title }] of Object.entries(numbers)) {
          for (const place of all(`[data-live="${key}"]`)) {
            const inner = place.querySelector(".ep-eth");
            if (inner) {
              inner.title = title;
              inner.firstChild.textContent = `${text} `;
            } else place.textContent = text;
          }
        }
        show("live", "Live");
      } catch (error) {
        show("failing", "Not updating");
      }
    }
    setInterval(refresh, Number(sign.dataset.liveSeconds) * 1000);
    document.addEventListener("visibilitychange", refresh);
  }

  // --- Proofs -----------------------------------------------------------------------------------

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("a[data-proof]");
    if (!button || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    button.textContent = "Checking…";
    try {
      const answer = await fetch(button.href, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
      const proof = await answer.json();
      button.dataset.result = proof.matches ? "match" : "mismatch";
      button.textContent = proof.matches ? "Matches" : "Does not match";
      button.title = `recomputed ${proof.recomputed}`;
    } catch (error) {
      button.dataset.result = "failed";
      button.textContent = "Could not check";
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    charts();
    live();
    refreshTimes();
    setInterval(refreshTimes, 15000);
  });
})();
