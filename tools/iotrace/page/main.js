// main.js — joins the parts, and listens to the keyboard and the mouse.

const started = performance.now();
const trace = new Trace(head, element('data').textContent);
element('data').remove();
const canvas = element('timeline'), overview = element('overview');
const timeline = new Timeline(trace, canvas, overview);
const table = new OperationTable(trace, i => select(i, true));
let found = null;

const say = text => { element('live').textContent = text; };
const summary = i => `${trace.kind(i)} number ${i + 1}, ${duration(trace.took(i))}, ${trace.hasFailed(i) ? `failed with ${errorName(trace.result[i])}, ` : ''}${trace.place(i)}`;

// ---- the head of the page ----

function showHead() {
  element('title').textContent = `${head.program || 'Trace'}, process ${head.pid}`;
  const ended = trace.count === 1 ? '1 operation' : `${grouped(trace.count)} operations`;
  const date = head.startedUnixMs > 0 ? `, recorded ${new Date(head.startedUnixMs).toISOString().replace('T', ' ').slice(0, 19)} UTC` : '';
  element('facts').textContent = `${ended} in ${duration(trace.length)} on ${head.kernel || 'an unknown kernel interface'}${date}. ` +
    (head.hasKernelLane ? 'The kernel was watched.' : `What the kernel did was not observed${head.kernelUnseen ? `: ${head.kernelUnseen}` : ''}.`);
  const warnings = [];
  if (head.lost > 0) warnings.push(`${grouped(head.lost)} events were lost, so some operations are missing or incomplete.`);
  if (head.incomplete) warnings.push(`The file could not be read to its end: ${head.incomplete}.`);
  element('warnings').textContent = warnings.join(' ');
  element('warnings').hidden = warnings.length === 0;
}
function showLegend() {
  const add = (colour, text) => {
    const entry = document.createElement('span'), box = document.createElement('i');
    box.style.background = colour;
    entry.append(box, text);
    element('legend').append(entry);
  };
  element('legend').replaceChildren();
  head.kinds.forEach((kind, k) => add(kindColour(k), kind));
  add(failedColour, 'failed');
  const words = ['worker runs a coroutine', 'in the kernel', 'asleep', 'in its loop'];
  words.forEach((text, what) => add(spanColours[isDark() ? 'dark' : 'light'][what], text));
}

// ---- selecting ----

function select(i, moveFocus) {
  timeline.selected = i;
  table.mark(i);
  if (i < 0) {
    element('detail').hidden = true;
    say('Nothing is selected.');
    timeline.schedule();
    return;
  }
  showDetail(trace, i);
  timeline.reveal(i);
  say(`${summary(i)}. ${explain(trace, i)}`);
  try { history.replaceState(null, '', `#${i + 1}`); } catch { /* a page inside a frame has no history */ }
  if (moveFocus) {
    element('detail').focus({preventScroll: true});
    element('detail').scrollIntoView({block: 'nearest'});
  }
}
// The next operation that the search means, in the direction of `step`.
function selectNext(step) {
  let i = timeline.selected;
  if (i < 0) return select(timeline.nearest(), false);
  do i += step; while (i >= 0 && i < trace.count && found && !found.matches[i]);
  if (i >= 0 && i < trace.count) select(i, false);
  else say(step > 0 ? 'That was the last one.' : 'That was the first one.');
}

// ---- searching ----

function runSearch() {
  found = search(trace, element('search').value);
  timeline.matches = table.matches = found ? found.matches : null;
  element('found').textContent = found ? `${grouped(found.count)} of ${grouped(trace.count)}` : '';
  table.sort();
  showHistograms(trace, table.matches);
  timeline.schedule();
}
let searchTimer;
element('search').addEventListener('input', () => { clearTimeout(searchTimer); searchTimer = setTimeout(runSearch, 120); });
element('search').addEventListener('keydown', event => {
  if (event.key === 'Enter') {
    clearTimeout(searchTimer);
    runSearch();
    if (found && found.count > 0) selectNext(event.shiftKey ? -1 : 1);
    else say('Nothing matches.');
    if (timeline.selected >= 0) timeline.showOperation(timeline.selected);
  } else if (event.key === 'Escape') {
    if (element('search').value) { element('search').value = ''; runSearch(); }
    canvas.focus();
    event.preventDefault();
    event.stopPropagation();
  }
});

// ---- the keyboard ----

const keys = {
  ArrowLeft: () => timeline.pan(-.15), ArrowRight: () => timeline.pan(.15),
  '+': () => timeline.zoom(.6), '=': () => timeline.zoom(.6), '-': () => timeline.zoom(1 / .6),
  0: () => timeline.show(0, trace.length), Home: () => timeline.show(0, trace.length),
  ArrowUp: () => selectNext(-1), ArrowDown: () => selectNext(1),
  Enter: () => timeline.selected < 0 ? select(timeline.nearest(), false) : select(timeline.selected, true)};
canvas.addEventListener('keydown', event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  if (trace.count > 0) keys[event.key]();
});
document.addEventListener('keydown', event => {
  const writes = event.target.matches('input, select, textarea');
  if (event.key === '/' && !writes && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    element('search').focus();
    element('search').select();
  } else if (event.key === 'Escape' && !writes) {
    if (document.activeElement === canvas || element('detail').hidden) select(-1, false);
    canvas.focus();
  }
});

// ---- the mouse ----

let drag = null;
const moveTo = (canvasOf, event) => { const box = canvasOf.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
canvas.addEventListener('pointerdown', event => {
  if (event.button !== 0) return;
  drag = {x: event.clientX, from: timeline.from, to: timeline.to, moved: false};
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', event => {
  if (!drag) return showHint(event);
  const by = (drag.x - event.clientX) * (drag.to - drag.from) / Math.max(1, timeline.width - timeline.gutter);
  if (Math.abs(drag.x - event.clientX) > 3) drag.moved = true;
  if (!drag.moved) return;
  canvas.classList.add('dragging');
  element('hint').hidden = true;
  timeline.show(drag.from + by, drag.to + by);
});
canvas.addEventListener('pointerup', event => {
  const wasClick = drag && !drag.moved;
  drag = null;
  canvas.classList.remove('dragging');
  if (!wasClick) return;
  const hit = timeline.at(...moveTo(canvas, event));
  if (hit?.operation !== undefined) select(hit.operation, false);
});
canvas.addEventListener('pointercancel', () => { drag = null; });
canvas.addEventListener('pointerleave', () => { element('hint').hidden = true; });
canvas.addEventListener('wheel', event => {
  if (event.ctrlKey || event.altKey) {
    event.preventDefault();
    timeline.zoom(Math.exp(event.deltaY * .002), timeline.time(moveTo(canvas, event)[0]));
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    timeline.pan((event.deltaX || event.deltaY) / 800);
  }
}, {passive: false});

function hintFor(hit) {
  if (hit.operation !== undefined) {
    const i = hit.operation, longest = longestStage(trace, i);
    return `${trace.kind(i)} #${i + 1}: ${duration(trace.took(i))}, ${resultOf(trace, i)}\n${trace.place(i)}` +
      (longest ? `\n${longest.name}: ${duration(longest.end - longest.begin)}` : '');
  }
  if (hit.mark) return `${trace.threadName(hit.thread)}: ${trace.markText(hit.mark)}\nat ${exact(hit.mark.at + head.base)}`;
  const spans = trace.spans[hit.thread], k = hit.span, what = spanKinds[spans.what[k]];
  const words = what === 'run' ? `runs task ${trace.taskName(spans.task[k])}, after ${head.places[spans.place[k]]}` : what === 'enter' ? 'in the kernel' : what === 'loop' ? 'in its loop' : 'asleep';
  return `${trace.threadName(hit.thread)}: ${words}\n${duration(spans.end[k] - spans.begin[k])}`;
}
function showHint(event) {
  const hint = element('hint'), hit = timeline.at(...moveTo(canvas, event));
  hint.hidden = !hit;
  canvas.style.cursor = hit?.operation !== undefined ? 'pointer' : '';
  if (!hit) return;
  hint.textContent = hintFor(hit);
  hint.style.left = `${Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8)}px`;
  hint.style.top = `${Math.min(event.clientY + 16, innerHeight - hint.offsetHeight - 8)}px`;
}

let isMovingStrip = false;
const moveStrip = event => {
  const at = moveTo(overview, event)[0] / overview.clientWidth * trace.length, half = (timeline.to - timeline.from) / 2;
  timeline.show(at - half, at + half);
};
overview.addEventListener('pointerdown', event => { isMovingStrip = true; overview.setPointerCapture(event.pointerId); moveStrip(event); });
overview.addEventListener('pointermove', event => { if (isMovingStrip) moveStrip(event); });
overview.addEventListener('pointerup', () => { isMovingStrip = false; });

// ---- buttons ----

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // an old browser, or one that does not let a file do so
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    if (!isCopied) return say('The browser does not allow copying.');
  }
  say('Copied as Mermaid.');
  element('copy').textContent = 'Copied';
  setTimeout(() => { element('copy').textContent = 'Copy as Mermaid'; }, 1500);
}
const onClick = (id, action) => element(id).addEventListener('click', action);
onClick('zoom-in', () => timeline.zoom(.6));
onClick('zoom-out', () => timeline.zoom(1 / .6));
onClick('zoom-all', () => timeline.show(0, trace.length));
onClick('previous', () => select(neighbour(trace, timeline.selected, -1), false));
onClick('next', () => select(neighbour(trace, timeline.selected, 1), false));
onClick('show', () => { timeline.showOperation(timeline.selected); canvas.focus(); });
onClick('copy', () => copyText(mermaid(diagramOf(trace, timeline.selected), trace.begin[timeline.selected])));
onClick('close', () => { select(-1, false); canvas.focus(); });
onClick('page-back', () => table.turn(-1));
onClick('page-on', () => table.turn(1));
element('order').addEventListener('change', event => { table.order = event.target.value; table.sort(); });
element('group').addEventListener('change', event => { timeline.by(event.target.value); timeline.resize(); });
element('part').addEventListener('change', () => showHistograms(trace, table.matches));

// ---- beginning ----

element('part').append(new Option('the whole operation', 'total'), ...stageTable.map(({name}) => new Option(`${name}: ${stageWords[name]}`, name)));
showHead();
showLegend();
timeline.resize();
new ResizeObserver(() => timeline.resize()).observe(canvas);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { showLegend(); timeline.resize(); });
const fromAddress = () => { const i = Number(location.hash.slice(1)) - 1; if (Number.isInteger(i) && i >= 0 && i < trace.count && i !== timeline.selected) { select(i, false); timeline.showOperation(i); } };
addEventListener('hashchange', fromAddress);
fromAddress();
// The statistics need all moments of all operations, so the first picture does not wait for them.
requestAnimationFrame(() => setTimeout(() => {
  table.sort();
  showHistograms(trace, null);
  performance.mark('iotrace-complete');
}));
// For whoever wants to look into the trace from the browser's console, and for the tests.
window.iotrace = {trace, timeline, select, stagesOf, mermaid: i => mermaid(diagramOf(trace, i), trace.begin[i]), firstViewMs: performance.now() - started};
})();
