// Charts, loaded only by pages that have one.
import * as echarts from "echarts/core";
import { BarChart, LineChart, PieChart, ScatterChart, HeatmapChart, TreemapChart, MapChart } from "echarts/charts";
import { GridComponent, TooltipComponent, LegendComponent, VisualMapComponent, DatasetComponent, AriaComponent, GeoComponent, DataZoomComponent, CalendarComponent, MarkLineComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

echarts.use([BarChart, LineChart, PieChart, ScatterChart, HeatmapChart, TreemapChart, MapChart, GridComponent, TooltipComponent, LegendComponent, VisualMapComponent, DatasetComponent, AriaComponent, GeoComponent, DataZoomComponent, CalendarComponent, MarkLineComponent, CanvasRenderer]);

const font = getComputedStyle(document.body).fontFamily;
const text = "#3b4a5c";
const axis = {
  axisLine: { lineStyle: { color: "#c7d0da" } },
  axisTick: { show: false },
  axisLabel: { color: text },
  splitLine: { lineStyle: { color: "#e8edf2" } },
};
echarts.registerTheme("gongshu", {
  color: ["#1c5fa8", "#2a9d8f", "#e0a030", "#7a6bb5", "#c8553d", "#5b8db8", "#8ab17d", "#9a8c7c"],
  textStyle: { fontFamily: font, color: text },
  categoryAxis: axis,
  valueAxis: { ...axis, axisLine: { show: false } },
  timeAxis: axis,
  line: { smooth: false, symbolSize: 5, lineStyle: { width: 2 } },
  bar: { barMaxWidth: 28 },
});

// merge gives an option the defaults that every chart wants. Tooltips are drawn
// on the canvas: as HTML they would need the inline styles that the policy of
// this site forbids.
function merge(option, reduced) {
  return {
    animation: !reduced,
    animationDuration: 300,
    aria: { enabled: true },
    ...option,
    grid: option.grid || (option.xAxis ? { left: 8, right: 16, top: option.legend ? 40 : 16, bottom: 8, containLabel: true } : undefined),
    tooltip: { trigger: option.xAxis ? "axis" : "item", confine: true, ...(option.tooltip || {}), renderMode: "richText", appendTo: undefined },
  };
}

// plane gives both axes of a plot of places one scale: a degree of longitude is as
// long as one of latitude times the cosine of the latitude, so that directions and
// distances within a city are right.
function plane(option, el) {
  const west = option.plane.west, east = option.plane.east, south = option.plane.south, north = option.plane.north;
  const grid = { left: 70, right: 16, top: 12, bottom: 48 };
  const shrink = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const width = Math.max(40, el.clientWidth - grid.left - grid.right);
  const height = Math.max(40, el.clientHeight - grid.top - grid.bottom);
  const unit = 1.06 * Math.max(((east - west) * shrink) / width, (north - south) / height, 1e-5); // degrees of latitude a pixel
  const x = (unit * width) / shrink / 2;
  const y = (unit * height) / 2;
  const round = (n) => Math.round(n * 1e4) / 1e4;
  const around = (axis, middle, half) => ({ ...axis, min: round(middle - half), max: round(middle + half), axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false } });
  return { grid, xAxis: around(option.xAxis, (west + east) / 2, x), yAxis: around({ ...option.yAxis, nameGap: 52 }, (south + north) / 2, y) };
}

async function one(el, reduced) {
  if (el.dataset.drawn) return;
  el.dataset.drawn = "1";
  let option;
  try {
    option = JSON.parse(el.dataset.chart);
  } catch {
    return;
  }
  if (el.dataset.map) {
    const answer = await fetch(el.dataset.map);
    if (!answer.ok) return;
    echarts.registerMap(el.dataset.map, await answer.json());
    for (const s of [].concat(option.series || [])) if (s.type === "map") s.map = el.dataset.map;
    if (option.geo) option.geo.map = el.dataset.map;
  }
  const chart = echarts.init(el, "gongshu");
  const fit = () => option.plane && chart.setOption(plane(option, el));
  chart.setOption(merge(option.plane ? { ...option, ...plane(option, el) } : option, reduced));
  const links = el.dataset.links ? JSON.parse(el.dataset.links) : [];
  if (links.length) {
    chart.on("click", (p) => {
      if (links[p.dataIndex]) location.assign(links[p.dataIndex]);
    });
  }
  const resize = () => {
    chart.resize();
    fit();
  };
  new ResizeObserver(resize).observe(el);
  // Paper is laid out before the next frame: what a resize wipes is drawn at once.
  addEventListener("beforeprint", () => {
    resize();
    chart.getZr().flush();
  });
}

export function draw(elements, reduced) {
  for (const el of elements) one(el, reduced);
}
