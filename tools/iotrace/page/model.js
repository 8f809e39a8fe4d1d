// model.js — what the trace means: stages, rows, percentiles, explanations.

// From which moment to which a stage lasts, as in the other views.
const stageTable = head.stages.map(([name, begin, orBegin, end, orEnd]) => ({name, from: [begin, orBegin], to: [end, orEnd]}));
const stageWords = {
  queue: 'on the queue of the worker', wake: 'until the worker woke up', dispatch: 'until its coroutine ran there',
  prepare: 'until its SQE was filled', batch: 'until the worker entered the kernel', submit: 'until the kernel took it',
  kernel: 'in the kernel', reap: 'until the worker looked at the completion', resume: 'until its coroutine ran again'};
const stageColours = {queue: '#e8b04a', wake: '#f2d08a', dispatch: '#d8c36a', prepare: '#9fc5e8', batch: '#7fb3d5', submit: '#b6a4e3',
  kernel: '#6fcf97', reap: '#f5a97f', resume: '#e88fb0', rest: '#b8bec9'};

const firstSeen = (times, choices) => {
  for (const choice of choices) if (times[choice] === times[choice]) return times[choice];
  return NaN;
};
// The stages of an operation, in order. They do not overlap, except that `wake` lies inside `queue`.
function stagesOf(trace, i) {
  const times = trace.times(i), stages = [];
  let free = trace.begin[i];
  for (const {name, from, to} of stageTable) {
    const begin = firstSeen(times, from), end = firstSeen(times, to);
    if (!(end >= begin)) continue;
    if (name === 'wake') {
      if (stages.length > 0 && end <= free) stages.push({name, begin, end});
    } else if (end >= free) {
      stages.push({name, begin: Math.max(begin, free), end});
      free = end;
    }
  }
  return stages;
}
function longestStage(trace, i) {
  let longest;
  for (const stage of stagesOf(trace, i)) {
    if (stage.name !== 'wake' && (!longest || stage.end - stage.begin > longest.end - longest.begin)) longest = stage;
  }
  return longest;
}

// ---- rows ----

// A heap of numbers, the smallest key first.
class Heap {
  constructor() { this.items = []; }
  get size() { return this.items.length; }
  get top() { return this.items[0]; }
  push(key, value) {
    const items = this.items;
    let i = items.push([key, value]) - 1;
    for (; i > 0; ) {
      const up = (i - 1) >> 1;
      if (items[up][0] <= items[i][0]) break;
      [items[up], items[i]] = [items[i], items[up]];
      i = up;
    }
  }
  pop() {
    const items = this.items, top = items[0], last = items.pop();
    if (items.length === 0) return top;
    items[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const down of [2 * i + 1, 2 * i + 2]) if (down < items.length && items[down][0] < items[least][0]) least = down;
      if (least === i) return top;
      [items[least], items[i]] = [items[i], items[least]];
      i = least;
    }
  }
}
// Gives out the lowest free row.
class FreeRows {
  constructor() { this.busy = new Heap(); this.free = new Heap(); this.count = 0; }
  take(begin, end) {
    while (this.busy.size > 0 && this.busy.top[0] <= begin) {
      const [, row] = this.busy.pop();
      this.free.push(row, row);
    }
    const row = this.free.size > 0 ? this.free.pop()[1] : this.count++;
    this.busy.push(Math.max(end, begin + 1), row);
    return row;
  }
}

// Lists of operations by row, of all lanes in one array.
function listRows(lanes, laneOf, rowOf, count) {
  let rows = 0;
  for (const lane of lanes) { lane.firstRow = rows; rows += lane.rows; }
  const start = new Uint32Array(rows + 1), items = new Uint32Array(count);
  for (let i = 0; i < count; ++i) ++start[lanes[laneOf[i]].firstRow + rowOf[i] + 1];
  for (let r = 0; r < rows; ++r) start[r + 1] += start[r];
  const next = start.slice();
  for (let i = 0; i < count; ++i) items[next[lanes[laneOf[i]].firstRow + rowOf[i]]++] = i;
  return {start, items};
}

// Returns lanes and the rows in them. By task, a task stays in its row for as long as it does I/O.
function arrange(trace, by) {
  const n = trace.count, laneOf = new Uint32Array(n), rowOf = new Uint32Array(n), lanes = [];
  const laneNumbers = new Map();
  const laneFor = (key, make) => {
    let lane = laneNumbers.get(key);
    if (lane === undefined) {
      laneNumbers.set(key, lane = lanes.length);
      lanes.push({rows: 0, thread: -1, free: new FreeRows(), ...make()});
    }
    return lane;
  };
  const threadLane = thread => laneFor('t' + thread, () => ({name: trace.threadName(thread), thread}));
  if (by !== 'kind') trace.spans.forEach((spans, thread) => { if (spans.count > 0) threadLane(thread); });
  if (by === 'task') {
    const first = new Int32Array(trace.tasks.length).fill(-1), end = new Float64Array(trace.tasks.length), row = new Uint32Array(trace.tasks.length);
    for (let i = 0; i < n; ++i) end[trace.task[i]] = Math.max(end[trace.task[i]], trace.end[i]);
    const lane = laneFor('tasks', () => ({name: 'tasks'}));
    for (let i = 0; i < n; ++i) {
      const task = trace.task[i];
      if (first[task] < 0) { first[task] = i; row[task] = lanes[lane].free.take(trace.begin[i], end[task]); }
      laneOf[i] = lane;
      rowOf[i] = row[task];
    }
  } else {
    for (let i = 0; i < n; ++i) {
      const shape = trace.of(i);
      const lane = by === 'kind' ? laneFor(shape.kind, () => ({name: trace.kind(i)})) : threadLane(shape.home);
      laneOf[i] = lane;
      rowOf[i] = lanes[lane].free.take(trace.begin[i], trace.end[i]);
    }
  }
  for (const lane of lanes) { lane.rows = lane.free.count; delete lane.free; }
  return {lanes, laneOf, rowOf, ...listRows(lanes, laneOf, rowOf, n)};
}

// ---- statistics ----

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];

// By kind: the sorted durations of a part, which is a stage or the whole.
function partsByKind(trace, part, matches) {
  const stage = stageTable.find(one => one.name === part);
  const byKind = trace.head.kinds.map(() => []), failed = trace.head.kinds.map(() => 0);
  for (let i = 0; i < trace.count; ++i) {
    if (matches && !matches[i]) continue;
    const {kind, hasEnded} = trace.of(i);
    if (trace.hasFailed(i)) ++failed[kind];
    let took = hasEnded ? trace.took(i) : NaN;
    if (stage) {
      const times = trace.times(i);
      took = firstSeen(times, stage.to) - firstSeen(times, stage.from);
    }
    if (took >= 0) byKind[kind].push(took);
  }
  return byKind.map((list, kind) => ({kind, failed: failed[kind], sorted: Float64Array.from(list).sort()})).filter(one => one.sorted.length > 0);
}

// ---- why ----

function explain(trace, i) {
  const known = trace.head.why[i + 1];
  if (known) return known;
  if (!trace.of(i).hasEnded) return `It was still in flight when the recording ended, ${duration(trace.took(i))} after its begin.`;
  const took = trace.took(i), longest = longestStage(trace, i);
  const failed = trace.hasFailed(i) ? ` It failed with ${errorName(trace.result[i])}.` : '';
  if (!longest || took === 0) return `It took ${duration(took)}.${failed}`;
  const part = longest.end - longest.begin;
  return `It took ${duration(took)}: most of it, ${duration(part)} (${Math.round(100 * part / took)} %), passed ` +
    `${stageWords[longest.name]}.${failed} For the cause, run: iotrace why ${i + 1} FILE`;
}
