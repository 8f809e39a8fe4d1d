// panels.js — what is shown beside the timeline: one operation, the table, the histograms.

function cell(row, content, className) {
  const made = row.insertCell();
  if (className) made.className = className;
  if (content instanceof Node) made.append(content); else made.textContent = content;
  return made;
}
function kindWithDot(trace, kind) {
  const text = document.createDocumentFragment(), dot = document.createElement('span');
  dot.className = 'dot';
  dot.style.background = kindColour(kind);
  text.append(dot, trace.head.kinds[kind]);
  return text;
}
function resultOf(trace, i) {
  if (!trace.of(i).hasEnded) return 'in flight';
  return trace.hasFailed(i) ? errorName(trace.result[i]) : grouped(trace.result[i]);
}

// ---- one operation ----

function showStages(trace, i) {
  const body = element('stages').tBodies[0], bar = element('stage-bar'), took = trace.took(i), stages = stagesOf(trace, i);
  body.replaceChildren();
  bar.replaceChildren();
  for (const {name, begin, end} of stages) {
    const row = body.insertRow(), share = took > 0 ? 100 * (end - begin) / took : 0;
    cell(row, (name === 'wake' ? 'wake, in the queue' : name));
    cell(row, `+${exact(begin - trace.begin[i])}`, 'number');
    cell(row, exact(end - begin), 'number');
    cell(row, `${share.toFixed(1)} %`, 'number');
    if (name === 'wake') continue;
    const part = document.createElement('span');
    part.style.cssText = `flex: 0 0 auto; width: ${share}%; margin-left: ${gapBefore(trace, i, stages, begin, took)}%; background: ${stageColours[name]}`;
    part.textContent = share > 8 ? name : '';
    part.title = `${name}: ${duration(end - begin)}`;
    bar.append(part);
  }
  bar.setAttribute('aria-label', 'Stages: ' + (stages.map(one => `${one.name} ${duration(one.end - one.begin)}`).join(', ') || 'none was observed'));
  bar.hidden = stages.length === 0;
}
function gapBefore(trace, i, stages, begin, took) {
  let free = trace.begin[i];
  for (const one of stages) if (one.name !== 'wake' && one.end <= begin && one.begin < begin) free = Math.max(free, one.end);
  return took > 0 ? Math.max(0, 100 * (begin - free) / took) : 0;
}

function propertiesOf(trace, i) {
  const shape = trace.of(i);
  const list = [['Began', `${exact(trace.begin[i] + trace.head.base)} after the recording did`], ['Took', exact(trace.took(i))], ['Result', resultOf(trace, i)]];
  if (trace.fd(i) >= 0) list.push(['Descriptor', String(trace.fd(i))]);
  if (trace.size(i) > 0) list.push(['Length', `${grouped(trace.size(i))} bytes`]);
  if (trace.offset[i] >= 0) list.push(['Offset', grouped(trace.offset[i])]);
  list.push(['Place', trace.place(i)], ['Task', trace.taskName(trace.task[i])], ['Worker', shape.thread < 0 ? 'none' : trace.threadName(shape.thread)]);
  const {parent} = trace.tasks[trace.task[i]];
  if (trace.joined.has(i)) list.push(['Waits for task', trace.taskName(trace.joined.get(i))]);
  if (parent >= 0) list.push(['Spawned by task', trace.taskName(parent)]);
  if (shape.caller !== shape.thread && shape.caller >= 0) list.push(['Awaited on', trace.threadName(shape.caller)]);
  if (shape.completions > 1) list.push(['Completions', String(shape.completions)]);
  if (shape.sqeFlags) list.push(['SQE flags', `0x${shape.sqeFlags.toString(16)}`]);
  return list;
}
function showProperties(trace, i) {
  const list = element('properties');
  list.replaceChildren();
  for (const [name, value] of propertiesOf(trace, i)) {
    const term = document.createElement('dt'), what = document.createElement('dd');
    term.textContent = name;
    what.textContent = value;
    list.append(term, what);
  }
}
function neighbour(trace, i, step) {
  for (let k = i + step; k >= 0 && k < trace.count; k += step) if (trace.task[k] === trace.task[i]) return k;
  return -1;
}
function showDetail(trace, i) {
  element('detail').hidden = false;
  element('detail-title').textContent = `${trace.kind(i)} #${i + 1}: ${duration(trace.took(i))}`;
  element('why').textContent = explain(trace, i);
  showStages(trace, i);
  showProperties(trace, i);
  element('diagram').replaceChildren(drawSvg(diagramOf(trace, i), trace.begin[i]));
  element('previous').disabled = neighbour(trace, i, -1) < 0;
  element('next').disabled = neighbour(trace, i, 1) < 0;
}

// ---- the table ----

// Returns those with the `count` longest durations, slowest first. A sort of all of them would take half a second.
function slowest(trace, all, count) {
  if (all.length === 0) return [];
  const sorted = Float64Array.from(all, i => trace.took(i)).sort(), least = sorted[Math.max(0, sorted.length - count)];
  return all.filter(i => trace.took(i) >= least).sort((a, b) => trace.took(b) - trace.took(a) || a - b);
}

class OperationTable {
  constructor(trace, select) {
    Object.assign(this, {trace, select, matches: null, page: 0, order: 'slowest', selected: -1, all: []});
  }
  static rowsOfPage = 25;

  sort() {
    const {trace, matches} = this, all = [];
    for (let i = 0; i < trace.count; ++i) if (!matches || matches[i]) all.push(i);
    this.all = all;
    this.page = 0;
    this.show();
  }
  turn(by) {
    this.page = Math.max(0, Math.min(this.pages - 1, this.page + by));
    this.show();
  }
  get pages() { return Math.max(1, Math.ceil(this.all.length / OperationTable.rowsOfPage)); }

  show() {
    const body = element('operations').tBodies[0], from = this.page * OperationTable.rowsOfPage;
    body.replaceChildren();
    const to = from + OperationTable.rowsOfPage, ordered = this.order === 'slowest' ? slowest(this.trace, this.all, to) : this.all;
    for (const i of ordered.slice(from, to)) this.addRow(body, i);
    element('page-of').textContent = `page ${grouped(this.page + 1)} of ${grouped(this.pages)}, ${grouped(this.all.length)} operations`;
    element('page-back').disabled = this.page === 0;
    element('page-on').disabled = this.page + 1 >= this.pages;
  }
  // Shows which row is selected, if it is on this page.
  mark(i) {
    this.selected = i;
    for (const row of element('operations').tBodies[0].rows) row.classList.toggle('selected', row.dataset.operation === String(i));
  }
  addRow(body, i) {
    const {trace} = this, shape = trace.of(i), row = body.insertRow(), longest = longestStage(trace, i), button = document.createElement('button');
    row.dataset.operation = i;
    row.classList.toggle('selected', i === this.selected);
    button.type = 'button';
    button.textContent = `#${i + 1}`;
    button.setAttribute('aria-label', `Show ${trace.kind(i)} ${i + 1}`);
    button.addEventListener('click', () => this.select(i));
    cell(row, button);
    cell(row, kindWithDot(trace, shape.kind));
    cell(row, duration(trace.took(i)), 'number');
    cell(row, exact(trace.begin[i] + trace.head.base), 'number');
    cell(row, longest ? `${longest.name} ${duration(longest.end - longest.begin)}` : '');
    cell(row, resultOf(trace, i), trace.hasFailed(i) ? 'bad' : '');
    cell(row, trace.fd(i) >= 0 ? String(trace.fd(i)) : '');
    cell(row, trace.threadName(shape.home));
    cell(row, String(trace.tasks[trace.task[i]].number), 'number');
    cell(row, trace.place(i));
  }
}

// ---- histograms ----

// Four bars for each doubling, from the shortest to the longest of all kinds.
const bucketOf = ns => ns < 1 ? 0 : 1 + Math.floor(Math.log2(ns) * 4);

function showHistograms(trace, matches) {
  const kinds = partsByKind(trace, element('part').value, matches), body = element('histograms').tBodies[0];
  body.replaceChildren();
  const low = bucketOf(Math.min(...kinds.map(one => one.sorted[0]))), high = bucketOf(Math.max(...kinds.map(one => one.sorted.at(-1))));
  element('scale').textContent = kinds.length > 0 ? `Distribution, ${duration(2 ** ((low - 1) / 4))} to ${duration(2 ** (high / 4))}` : 'Distribution';
  for (const one of kinds.sort((a, b) => b.sorted.length - a.sorted.length)) {
    const row = body.insertRow(), {sorted} = one;
    cell(row, kindWithDot(trace, one.kind));
    cell(row, grouped(sorted.length), 'number');
    cell(row, grouped(one.failed), one.failed > 0 ? 'number bad' : 'number');
    for (const share of [.5, .9, .99, .999, 1]) cell(row, duration(quantile(sorted, share)), 'number');
    cell(row, histogram(sorted, low, high, kindColour(one.kind)));
  }
}
function histogram(sorted, low, high, colour) {
  const counts = new Array(high - low + 1).fill(0);
  for (const ns of sorted) ++counts[bucketOf(ns) - low];
  const most = Math.max(...counts), width = 320, height = 30, step = width / counts.length;
  const root = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': `Half of them took up to ${duration(quantile(sorted, .5))}, the longest ${duration(sorted.at(-1))}`});
  counts.forEach((count, k) => {
    // The root keeps single slow ones visible.
    const bar = count > 0 ? Math.max(1.5, Math.sqrt(count / most) * height) : 0;
    if (count > 0) root.append(svg('rect', {x: k * step, y: height - bar, width: Math.max(1, step - 1), height: bar, fill: colour}));
  });
  return root;
}
