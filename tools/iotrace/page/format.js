// format.js — how times, sizes and errors are written.

function duration(ns) {
  if (!Number.isFinite(ns)) return 'not observed';
  const size = Math.abs(ns);
  if (size < 1000) return `${Math.round(ns)} ns`;
  const [unit, factor] = size < 999_950 ? ['µs', 1e3] : size < 999_950_000 ? ['ms', 1e6] : ['s', 1e9];
  const value = ns / factor;
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)} ${unit}`;
}
// A moment of the trace, in the unit that a step on the axis needs.
function moment(ns, step) {
  const [unit, factor] = step < 1000 ? ['µs', 1e3] : step < 1e6 ? ['ms', 1e6] : ['s', 1e9];
  const decimals = Math.max(0, Math.ceil(-Math.log10(step / factor) - 1e-9));
  return `${(ns / factor).toFixed(decimals)} ${unit}`;
}
const grouped = number => number.toLocaleString('en-US');
const exact = ns => Number.isFinite(ns) ? `${(ns / 1000).toLocaleString('en-US', {minimumFractionDigits: 3, maximumFractionDigits: 3})} µs` : 'not observed';

const errors = {1: 'EPERM', 2: 'ENOENT', 4: 'EINTR', 5: 'EIO', 9: 'EBADF', 11: 'EAGAIN', 12: 'ENOMEM', 13: 'EACCES', 14: 'EFAULT',
  16: 'EBUSY', 17: 'EEXIST', 20: 'ENOTDIR', 21: 'EISDIR', 22: 'EINVAL', 24: 'EMFILE', 28: 'ENOSPC', 32: 'EPIPE', 62: 'ETIME',
  90: 'EMSGSIZE', 95: 'EOPNOTSUPP', 98: 'EADDRINUSE', 103: 'ECONNABORTED', 104: 'ECONNRESET', 105: 'ENOBUFS', 110: 'ETIMEDOUT',
  111: 'ECONNREFUSED', 113: 'EHOSTUNREACH', 125: 'ECANCELED'};
const errorName = result => errors[-result] ?? `errno ${-result}`;
