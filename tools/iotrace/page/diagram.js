// diagram.js — one operation as the sequence diagram of the two flows, as SVG and as Mermaid.

const shapes = ['arrow', 'return', 'note'], bars = ['', 'begins', 'ends'];
const kernelActor = 5, workerActor = 4, coroutineActor = 1;

const onlyWhenWoken = new Set(['eventfd_written', 'asleep', 'woken', 'loop_runs']);
const onlyForOperations = new Set(['filled', 'suspended_for_io', 'loop_is_active', 'submitted', 'kernel_reads', 'completed', 'loop_continues',
  'processed']);
// More that the kernel lane may know, and the wait for a free SQE.
const extraNotes = {
  filled: [['parked', workerActor, 'No SQE is free: it waits for one']],
  kernel_reads: [['kernel_waits', kernelActor, 'Waits until it is ready'], ['kernel_lent', kernelActor, 'A helper thread gets it (io-wq)'],
    ['kernel_ready', kernelActor, 'What it waited for has come']]};

const hasOpcode = shape => shape.opcode < 0xfe;

function details(trace, i, step) {
  const shape = trace.of(i);
  switch (step) {
    case 'await': return trace.place(i) === '?' ? '' : `at ${trace.place(i)}`;
    case 'on_worker': return trace.threadName(shape.thread);
    case 'filled': return [trace.fd(i) >= 0 ? `fd ${trace.fd(i)}` : '', trace.size(i) > 0 ? `${trace.size(i)} bytes` : ''].filter(Boolean).join(', ');
    case 'resumed_with_result': return !shape.hasEnded ? '' : trace.hasFailed(i) ? errorName(trace.result[i]) : String(trace.result[i]);
    case 'processed': return shape.completions > 1 ? `${shape.completions} completions` : '';
    default: return '';
  }
}
function wordsFor(trace, i, text) {
  const kind = trace.kind(i);
  return text.replaceAll('async_read', `async_${kind}`).replace('Performs file read...', kind === 'read' ? 'Performs file read...' : `Performs ${kind}...`);
}

// Returns {actors, lines}: the participants that the lines need, and for each line who, what and when.
function diagramOf(trace, i) {
  const shape = trace.of(i), times = trace.times(i).slice();
  const seen = name => times[M[name]] === times[M[name]];
  if (!hasOpcode(shape) && !seen('pushed') && !seen('on_worker')) return diagramOfWait(trace, i, times);
  const flow = trace.head.flows[seen('pushed') || seen('popped') ? 'switch' : 'callback'];
  const lines = [];
  // The last one is the moment that the line shows, as tools/iotrace/flow.cpp finds it; -1: nobody notes a time.
  for (const [step, from, to, form, bar, text, moment] of flow.lines) {
    if (onlyWhenWoken.has(step) && !shape.wasWokenFor) continue;
    if (onlyForOperations.has(step) && !hasOpcode(shape)) continue;
    const line = {from, to, form: shapes[form], bar: bars[bar], text: wordsFor(trace, i, text), detail: details(trace, i, step),
      time: moment < 0 ? NaN : times[moment], unobserved: moment >= 0 && times[moment] !== times[moment]};
    for (const [extra, who, words] of step === 'filled' ? extraNotes.filled : []) {
      if (seen(extra)) lines.push({from: who, to: who, form: 'note', bar: '', text: words, detail: '', time: times[M[extra]], unobserved: false});
    }
    lines.push(line);
    for (const [extra, who, words] of step === 'kernel_reads' ? extraNotes.kernel_reads : []) {
      if (seen(extra)) lines.push({from: who, to: who, form: 'note', bar: '', text: words, detail: '', time: times[M[extra]], unobserved: false});
    }
  }
  return {actors: actorsIn(flow.actors, lines), lines, title: `${trace.kind(i)} #${i + 1}, ${duration(trace.took(i))}`};
}
function actorsIn(actors, lines) {
  const used = new Set(lines.flatMap(line => [line.from, line.to]));
  return actors.filter(([actor]) => used.has(actor));
}
function diagramOfWait(trace, i, times) {
  const kind = trace.kind(i), ended = trace.of(i).hasEnded, joined = trace.joined.get(i);
  const awaited = joined === undefined ? kind : `task ${trace.taskName(joined)}`;
  const lines = [{from: 0, to: 1, form: 'arrow', bar: 'begins', text: joined === undefined ? `co_await: waits for ${kind}` : 'co_await: waits for its end', detail: '', time: trace.begin[i], unobserved: false},
    {from: 1, to: 0, form: 'return', bar: 'ends', text: ended ? 'resume()' : 'Has not come until the recording ended', detail: '',
      time: ended ? times[M.resumed] : NaN, unobserved: !ended}];
  return {actors: [[0, 'Task (Coro)'], [1, awaited]], lines, title: `${kind} #${i + 1}, ${duration(trace.took(i))}`};
}

const labelOf = line => line.text + (line.unobserved ? ' (not observed)' : '') + (line.detail ? ` [${line.detail}]` : '');
const since = (line, begin) => Number.isFinite(line.time) ? `+${((line.time - begin) / 1000).toFixed(3)} µs` : '';

// ---- Mermaid ----

const mermaidText = text => text.replace(/[;#]/g, c => c === ';' ? '#59;' : '#35;');
const mermaidName = text => text.replace(/,/g, '#44;');

function mermaid(diagram, begin) {
  const names = new Map(diagram.actors.map(([actor, name]) => [actor, mermaidName(name)]));
  const open = new Map();
  let text = `sequenceDiagram\n    title ${mermaidText(diagram.title)}\n`;
  for (const name of names.values()) text += `    participant ${name}\n`;
  for (const line of diagram.lines) {
    const time = since(line, begin), label = mermaidText(labelOf(line) + (time ? ` [${time}]` : ''));
    const from = names.get(line.from), to = names.get(line.to);
    let bar = '';
    if (line.bar === 'begins') { bar = '+'; open.set(line.to, (open.get(line.to) ?? 0) + 1); }
    // Mermaid refuses to end a bar that was never begun: the callback flow begins it with an earlier line.
    if (line.bar === 'ends' && open.get(line.from) > 0) { bar = '-'; open.set(line.from, open.get(line.from) - 1); }
    text += line.form === 'note' ? `    Note over ${from}: ${label}\n` : `    ${from}${line.form === 'return' ? '-->>' : '->>'}${bar}${to}: ${label}\n`;
  }
  return text;
}

// ---- SVG ----

const svgSpace = 'http://www.w3.org/2000/svg';
function svg(name, attributes, text) {
  const made = document.createElementNS(svgSpace, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
const textWidth = (() => {
  let context;
  return text => {
    context ??= document.createElement('canvas').getContext('2d');
    context.font = '12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif';
    return context.measureText(text).width;
  };
})();

// How far apart the participants stand, so that every label has room.
function columns(diagram) {
  const index = new Map(diagram.actors.map(([actor], i) => [actor, i]));
  const boxes = diagram.actors.map(([, name]) => textWidth(name) + 22);
  const gaps = boxes.slice(1).map((width, i) => (width + boxes[i]) / 2 + 16);
  let right = boxes.at(-1) / 2;
  for (const line of diagram.lines) {
    const from = index.get(line.from), to = index.get(line.to), width = textWidth(labelOf(line)) + 26;
    const low = Math.min(from, to), high = Math.max(from, to);
    if (low === high) {
      const half = line.form === 'note' ? width / 2 + 8 : width + 22;
      if (low === gaps.length) right = Math.max(right, half);
      else if (line.form !== 'note') gaps[low] = Math.max(gaps[low], half);
    } else {
      const have = gaps.slice(low, high).reduce((a, b) => a + b, 0);
      if (have < width) for (let k = low; k < high; ++k) gaps[k] += (width - have) / (high - low);
    }
  }
  const left = 86 + boxes[0] / 2, at = [left];
  for (const gap of gaps) at.push(at.at(-1) + gap);
  const widestNote = Math.max(0, ...diagram.lines.filter(line => line.form === 'note' && index.get(line.from) === 0).map(line => textWidth(labelOf(line)) / 2 + 20));
  const shift = Math.max(0, widestNote + 86 - left);
  return {index, boxes, at: at.map(x => x + shift), width: at.at(-1) + shift + right + 14};
}

function drawSvg(diagram, begin) {
  const {index, boxes, at, width} = columns(diagram), step = 34, top = 58;
  const height = top + diagram.lines.length * step + 14;
  const root = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': describe(diagram, begin)});
  const lives = svg('g', {}), active = svg('g', {}), front = svg('g', {});
  root.append(lives, active, front);
  diagram.actors.forEach(([, name], k) => {
    lives.append(svg('line', {class: 'life', x1: at[k], x2: at[k], y1: 36, y2: height - 4}));
    front.append(svg('rect', {class: 'who', x: at[k] - boxes[k] / 2, y: 8, width: boxes[k], height: 28, rx: 5}),
      svg('text', {x: at[k], y: 26.5, 'text-anchor': 'middle'}, name));
  });
  const open = new Map();
  const endBar = (actor, y) => {
    const from = open.get(actor)?.pop();
    if (from !== undefined) active.append(svg('rect', {class: 'active', x: at[index.get(actor)] - 5, y: from, width: 10, height: Math.max(4, y - from), rx: 2}));
  };
  diagram.lines.forEach((line, k) => {
    const y = top + k * step + 12, group = svg('g', line.unobserved ? {class: 'unobserved'} : {});
    drawLine(group, line, at[index.get(line.from)], at[index.get(line.to)], y);
    group.append(svg('text', {class: 'time', x: 74, y: y + 4, 'text-anchor': 'end'}, since(line, begin)));
    front.append(group);
    if (line.bar === 'begins') open.set(line.to, [...(open.get(line.to) ?? []), y]);
    if (line.bar === 'ends') endBar(line.from, y);
  });
  for (const actor of open.keys()) while (open.get(actor).length > 0) endBar(actor, height - 8);
  return root;
}
function drawLine(group, line, from, to, y) {
  const label = labelOf(line);
  if (line.form === 'note') {
    const width = textWidth(label) + 20;
    group.append(svg('rect', {class: 'note', x: from - width / 2, y: y - 12, width, height: 24, rx: 3}),
      svg('text', {x: from, y: y + 4, 'text-anchor': 'middle'}, label));
    return;
  }
  const kind = `arrow${line.form === 'return' ? ' return' : ''}`;
  if (from === to) {
    group.append(svg('path', {class: kind, d: `M${from + 5} ${y - 6} h18 v12 h-12`}), arrowHead(to + 6, y + 6, -1), svg('text', {x: from + 30, y: y + 4}, label));
    return;
  }
  const direction = Math.sign(to - from);
  group.append(svg('line', {class: kind, x1: from + 5 * direction, x2: to - 12 * direction, y1: y, y2: y}), arrowHead(to - 5 * direction, y, direction),
    svg('text', {x: (from + to) / 2, y: y - 5, 'text-anchor': 'middle'}, label));
}
const arrowHead = (x, y, direction) => svg('path', {class: 'head', d: `M${x} ${y} l${-9 * direction} -4.5 v9 z`});

// The same in words, line by line.
function describe(diagram, begin) {
  const names = new Map(diagram.actors);
  return `Sequence diagram of ${diagram.title}. ` + diagram.lines.map(line => {
    const who = line.form === 'note' || line.from === line.to ? names.get(line.from) : `${names.get(line.from)} to ${names.get(line.to)}`;
    return `${since(line, begin)} ${who}: ${labelOf(line)}.`.trim();
  }).join(' ');
}
