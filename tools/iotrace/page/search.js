// search.js — which operations the words of a search mean.

const units = {ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9};

// Returns a function from an operation to whether it matches the word.
function predicate(trace, word) {
  const lower = word.toLowerCase();
  const limit = /^([<>])=?(\d+(?:\.\d+)?)(ns|us|µs|ms|s)?$/.exec(lower);
  if (limit) {
    const ns = Number(limit[2]) * units[limit[3] ?? 'us'];
    return limit[1] === '>' ? i => trace.took(i) > ns : i => trace.took(i) < ns;
  }
  const number = /^(#|fd:|task:|worker:|result:)(-?\d+)$/.exec(lower);
  if (number) {
    const value = Number(number[2]);
    switch (number[1]) {
      case '#': return i => i + 1 === value;
      case 'fd:': return i => trace.fd(i) === value;
      case 'task:': return i => trace.tasks[trace.task[i]].number === value;
      case 'worker:': return i => trace.of(i).home === value;
      default: return i => trace.of(i).hasEnded && trace.result[i] === value;
    }
  }
  if (lower === 'failed') return i => trace.hasFailed(i);
  if (lower === 'unfinished') return i => !trace.of(i).hasEnded;
  const exactKind = trace.head.kinds.findIndex(name => name.toLowerCase() === lower);
  if (exactKind >= 0) return i => trace.of(i).kind === exactKind;
  const named = list => list.map(name => name.toLowerCase().includes(lower));
  const kinds = named(trace.head.kinds), places = named(trace.head.places);
  const threads = named(trace.head.threads.map(thread => thread.name)), tasks = named(trace.tasks.map(task => task.name));
  const error = /^e[a-z]{3,}$/.test(lower) ? i => trace.hasFailed(i) && errorName(trace.result[i]).toLowerCase() === lower : () => false;
  return i => {
    const {kind, place, home} = trace.of(i);
    return kinds[kind] || places[place] || threads[home] || tasks[trace.task[i]] || error(i);
  };
}

// Returns one byte for each operation and how many match; or null if everything is meant.
function search(trace, text) {
  const words = text.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  const predicates = words.map(word => predicate(trace, word));
  const matches = new Uint8Array(trace.count);
  let count = 0;
  for (let i = 0; i < trace.count; ++i) {
    if (predicates.every(one => one(i))) { matches[i] = 1; ++count; }
  }
  return {matches, count};
}
