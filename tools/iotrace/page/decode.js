// decode.js — unpacks what tools/iotrace/html.cpp has packed.

const head = JSON.parse(element('head').textContent);
const moments = head.moments;
const M = Object.fromEntries(moments.map((name, i) => [name, i]));
const spanKinds = ['run', 'enter', 'asleep', 'loop'];

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Reads the numbers one after the other. They may be larger than 32 bits, so the high part is not shifted.
class Reader {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }
  number() {
    const bytes = this.bytes;
    let byte = bytes[this.at++];
    let value = byte & 127;
    if (byte < 128) return value;
    byte = bytes[this.at++]; value |= (byte & 127) << 7;
    if (byte < 128) return value;
    byte = bytes[this.at++]; value |= (byte & 127) << 14;
    if (byte < 128) return value;
    byte = bytes[this.at++]; value |= (byte & 127) << 21;
    if (byte < 128) return value;
    for (let factor = 2 ** 28; byte >= 128; factor *= 128) {
      byte = bytes[this.at++];
      value += (byte & 127) * factor;
    }
    return value;
  }
  signed() {
    const value = this.number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

const bitsIn = mask => { let count = 0; for (; mask; mask &= mask - 1) ++count; return count; };

// Everything of the trace. An operation is an index into the arrays; its number is one more.
class Trace {
  constructor(head, base64) {
    const n = head.operations;
    Object.assign(this, {head, count: n, length: Math.max(head.length, 1), shapes: [], targets: [], tasks: [], joined: new Map()});
    this.begin = new Float64Array(n);
    this.end = new Float64Array(n);
    this.shape = new Uint32Array(n);
    this.target = new Uint32Array(n);
    this.task = new Uint32Array(n);
    this.offset = new Float64Array(n).fill(-1);
    this.result = new Int32Array(n);
    this.momentsAt = new Uint32Array(n);
    this.reader = new Reader(bytesOf(base64));
    this.readOperations();
    this.spans = head.threads.map(thread => this.readSpans(thread.spans));
    this.marks = head.threads.map(thread => this.readMarks(thread.marks));
  }

  readOperations() {
    const reader = this.reader, expected = [];
    let at = 0;
    for (let i = 0; i < this.count; ++i) {
      this.begin[i] = at += reader.signed();
      const shape = this.shape[i] = reader.number();
      if (shape === this.shapes.length) this.shapes.push(this.readShape());
      const {hasEnded, hasOffset, joins, last, seen} = this.shapes[shape];
      const target = this.target[i] = reader.number();
      if (target === this.targets.length) {
        this.targets.push({fd: reader.signed(), length: reader.number()});
        expected.push(0);
      }
      this.task[i] = this.readTask();
      if (joins) this.joined.set(i, this.readTask());
      const {length} = this.targets[target];
      if (hasOffset) {
        this.offset[i] = expected[target] + reader.signed();
        expected[target] = this.offset[i] + length;
      }
      if (hasEnded) this.result[i] = length + reader.signed();
      this.momentsAt[i] = reader.at;
      let time = at, end = at;
      for (let k = 0; k < last; ++k) {
        time += reader.signed();
        if (time > end) end = time;
      }
      this.end[i] = hasEnded ? end : this.length;
    }
  }
  // A new task is followed by the one that spawned it, and so on: no recursion, because there may be very many.
  readTask() {
    const first = this.reader.number();
    for (let task = first; task === this.tasks.length;) {
      const made = {number: 0, name: '', parent: -1};
      this.tasks.push(made);
      // One whose start was not recorded gets a number that no other one has.
      made.number = this.reader.number() || this.head.tasks + task + 1;
      const name = this.reader.number();
      if (name > 1) made.name = this.head.taskNames[Math.floor(name / 2) - 1];
      if (name % 2) task = made.parent = this.reader.number();
    }
    return first;
  }
  readShape() {
    const [kind, sqeFlags, thread, caller, place, seen, flags, cqeFlags, completions, opcode] =
      Array.from({length: 10}, () => this.reader.number());
    return {kind, sqeFlags, thread: thread - 1, caller: caller - 1, place, seen, hasEnded: !!(flags & 1), wasWokenFor: !!(flags & 2),
      hasOffset: !!(flags & 4), joins: !!(flags & 8), cqeFlags, completions, opcode, last: bitsIn(seen), home: (thread || caller) - 1};
  }
  readSpans(count) {
    const spans = {count, begin: new Float64Array(count), end: new Float64Array(count), what: new Uint8Array(count),
      task: new Uint32Array(count), place: new Uint32Array(count)};
    let at = 0;
    for (let i = 0; i < count; ++i) {
      spans.begin[i] = at += this.reader.signed();
      const packed = this.reader.number();
      spans.what[i] = packed % 4;
      spans.end[i] = at += Math.floor(packed / 4);
      if (spans.what[i] !== 0) continue;
      spans.task[i] = this.readTask();
      spans.place[i] = this.reader.number();
    }
    return spans;
  }

  readMarks(count) {
    let at = 0;
    return Array.from({length: count}, () => ({at: at += this.reader.signed(), place: this.reader.number(), number: this.reader.number()}));
  }
  markText({place, number}) { return `${this.head.places[place]}${number ? ` ${grouped(number)}` : ''}`; }

  // The moments of one operation, by M; NaN where nobody saw one. The array is the same each time.
  times(i) {
    const {seen} = this.shapes[this.shape[i]], times = this.scratch ??= new Float64Array(moments.length);
    this.reader.at = this.momentsAt[i];
    let time = this.begin[i];
    for (let k = 0; k < moments.length; ++k) times[k] = seen >> k & 1 ? time += this.reader.signed() : NaN;
    return times;
  }

  of(i) { return this.shapes[this.shape[i]]; }
  kind(i) { return this.head.kinds[this.of(i).kind]; }
  place(i) { return this.head.places[this.of(i).place]; }
  taskName(task) {
    const {number, name} = this.tasks[task];
    return name ? `${number}, ${name}` : String(number);
  }
  took(i) { return this.end[i] - this.begin[i]; }
  hasFailed(i) { return this.of(i).hasEnded && this.result[i] < 0; }
  fd(i) { return this.targets[this.target[i]].fd; }
  size(i) { return this.targets[this.target[i]].length; }
  threadName(thread) { return this.head.threads[thread]?.name ?? 'unknown thread'; }
}
