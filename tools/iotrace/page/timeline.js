// timeline.js — the canvas: lanes of workers, rows of operations, an axis; one pixel at a time, so that a million operations are fast.

const isDark = () => matchMedia('(prefers-color-scheme: dark)').matches;
// Told apart also by people who see few colours: neighbours differ in lightness.
const kindColours = ['#4c86d9', '#e08a2e', '#3fa66b', '#9a6fd0', '#c2518e', '#4fb3bf', '#8d8a33', '#b07a52', '#6d7fa8', '#83b04a'];
const failedColour = '#d8362a';
const kindColour = kind => kindColours[kind % kindColours.length];
const inkOn = hex => [1, 3, 5].reduce((sum, at, k) => sum + parseInt(hex.slice(at, at + 2), 16) * [.3, .59, .11][k], 0) > 140 ? '#111317' : '#ffffff';
const spanColours = {light: ['#6f8fbf', '#e3a24f', '#e6e9ee', '#b79ad6'], dark: ['#6d8fc6', '#c98a3a', '#2b303a', '#8b6fb0']};
const pixel = (hex, faded) => {
  let [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
  if (faded) {
    const ground = isDark() ? 38 : 232;
    [r, g, b] = [r, g, b].map(value => Math.round(value * .14 + ground * .86));
  }
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
};

class Timeline {
  constructor(trace, canvas, overview) {
    Object.assign(this, {trace, canvas, overview, selected: -1, matches: null, from: 0, to: trace.length, gutter: 118, axis: 24});
    this.context = canvas.getContext('2d');
    this.by('worker');
  }

  by(how) {
    this.rows = arrange(this.trace, how);
    this.layOut();
  }

  // Where each lane is. Its rows share at most 260 pixels, so many rows become thin, and then share lines.
  layOut() {
    let y = this.axis;
    for (const lane of this.rows.lanes) {
      lane.top = y;
      lane.spans = lane.thread >= 0 ? this.trace.spans[lane.thread] : null;
      lane.band = lane.spans?.count > 0 ? 16 : 0;
      lane.rowTop = y + lane.band + (lane.band > 0 ? 3 : 0);
      lane.rowHeight = Math.min(18, Math.max(lane.rows <= 6 ? 18 : 0, 260 / Math.max(lane.rows, 1)));
      if (lane.rowHeight >= 1) lane.rowHeight = Math.floor(lane.rowHeight);
      y = Math.ceil(Math.max(lane.rowTop + lane.rows * lane.rowHeight, lane.top + 30)) + 12;
    }
    this.height = Math.max(y, 120);
    this.canvas.style.height = `${this.height}px`;
  }

  resize() {
    const ratio = window.devicePixelRatio || 1, width = Math.max(this.gutter + 100, this.canvas.clientWidth);
    Object.assign(this, {ratio, width});
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.round(this.height * ratio);
    this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.plotLeft = Math.round(this.gutter * ratio);
    this.plotWidth = Math.max(1, this.canvas.width - this.plotLeft);
    this.line = new Uint32Array(this.plotWidth);
    this.drawnOverview = null;
    this.draw();
  }

  colours() {
    const dark = isDark(), key = `${dark}`;
    if (this.palette?.key === key) return this.palette;
    const of = faded => ({kinds: this.trace.head.kinds.map((_, k) => pixel(kindColour(k), faded)), failed: pixel(failedColour, faded)});
    const style = getComputedStyle(document.documentElement), css = name => style.getPropertyValue(name).trim();
    return this.palette = {key, plain: of(false), faded: of(true), spans: spanColours[dark ? 'dark' : 'light'].map(hex => pixel(hex, false)),
      ink: css('--ink'), soft: css('--soft'), grid: css('--line'), accent: css('--accent'), band: css('--band')};
  }

  // ---- drawing ----

  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => { this.isScheduled = false; this.draw(); });
  }

  draw() {
    const {context, pixels, ratio} = this, colours = this.colours();
    pixels.fill(0);
    this.wide = [];
    this.scale = this.plotWidth / (this.to - this.from);
    for (const lane of this.rows.lanes) {
      if (lane.band > 0) this.drawSpans(lane, colours);
      this.drawRows(lane, colours);
    }
    context.putImageData(this.image, 0, 0);
    context.save();
    context.scale(ratio, ratio);
    this.drawAxis(colours);
    this.drawNames(colours);
    this.drawLabels();
    this.drawMarks(colours);
    this.drawSelected(colours);
    context.restore();
    this.drawOverview(colours);
  }

  copyLine(top, bottom) {
    const y0 = Math.max(0, Math.round(top * this.ratio)), y1 = Math.min(this.canvas.height, Math.max(y0 + 1, Math.round(bottom * this.ratio)));
    for (let y = y0; y < y1; ++y) this.pixels.set(this.line, y * this.canvas.width + this.plotLeft);
  }

  drawSpans(lane, colours) {
    const {begin, end, what, count} = lane.spans, {line, from, to, scale, plotWidth} = this;
    line.fill(0);
    for (let i = lowerBound(count, k => end[k] >= from); i < count && begin[i] <= to; ++i) {
      const x0 = Math.max(0, Math.floor((begin[i] - from) * scale)), x1 = Math.min(plotWidth - 1, Math.floor((end[i] - from) * scale));
      // What the worker did matters more than that it slept, where both share a pixel.
      if (x0 === x1 && what[i] === 2 && line[x0] !== 0) continue;
      const colour = colours.spans[what[i]];
      for (let x = x0; x <= x1; ++x) line[x] = colour;
    }
    this.copyLine(lane.top, lane.top + lane.band);
  }

  drawRows(lane, colours) {
    const {start, items} = this.rows, {trace, line, from, to, scale, plotWidth, matches} = this;
    const {begin, end, shape, result} = trace, {plain, faded} = colours, shapes = trace.shapes;
    const height = lane.rowHeight, wide = height < 9 ? Infinity : 34 * this.ratio;
    let filledFor = -1;
    for (let row = 0; row < lane.rows; ++row) {
      const lineNumber = Math.floor(row * Math.max(height, 1 / 64) * this.ratio);
      if (height * this.ratio >= 1 || lineNumber !== filledFor) line.fill(0);
      filledFor = lineNumber;
      const first = start[lane.firstRow + row], last = start[lane.firstRow + row + 1];
      for (let k = first + lowerBound(last - first, j => end[items[first + j]] >= from); k < last; ++k) {
        const i = items[k];
        if (begin[i] > to) break;
        let x0 = Math.floor((begin[i] - from) * scale), x1 = Math.floor((end[i] - from) * scale);
        if (x0 < 0) x0 = 0;
        if (x1 >= plotWidth) x1 = plotWidth - 1;
        else if (x1 - x0 > 3) --x1;
        const one = shapes[shape[i]], isFailed = one.hasEnded && result[i] < 0;
        const palette = matches !== null && matches[i] === 0 ? faded : plain;
        if (palette === faded && x0 === x1 && line[x0] !== 0) continue;
        const colour = isFailed ? palette.failed : palette.kinds[one.kind];
        if (x0 === x1) {
          if (line[x0] !== plain.failed) line[x0] = colour;
        } else {
          for (let x = x0; x <= x1; ++x) line[x] = colour;
          if (x1 - x0 >= wide && palette === plain && this.wide.length < 400) this.wide.push(i);
        }
      }
      const top = lane.rowTop + row * height;
      this.copyLine(top, Math.max(top + height - (height > 3 ? 1 : 0), top + 1 / this.ratio));
    }
  }

  x(time) { return this.gutter + (time - this.from) * (this.width - this.gutter) / (this.to - this.from); }
  time(x) { return this.from + (x - this.gutter) * (this.to - this.from) / (this.width - this.gutter); }

  drawAxis({soft, grid}) {
    const {context} = this, wanted = (this.to - this.from) / Math.max(2, (this.width - this.gutter) / 110);
    const power = 10 ** Math.floor(Math.log10(wanted)), step = Math.max(1, power * (wanted / power > 5 ? 10 : wanted / power > 2 ? 5 : wanted / power > 1 ? 2 : 1));
    context.font = '11px system-ui, "DejaVu Sans", sans-serif';
    context.globalCompositeOperation = 'destination-over';
    context.strokeStyle = grid;
    context.lineWidth = 1;
    context.beginPath();
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) {
      const x = Math.round(this.x(at)) + .5;
      context.moveTo(x, this.axis - 5);
      context.lineTo(x, this.height);
    }
    context.stroke();
    context.globalCompositeOperation = 'source-over';
    context.fillStyle = soft;
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) context.fillText(moment(at, step), Math.min(this.x(at) + 3, this.width - 60), 13);
  }

  drawNames({ink, soft}) {
    const {context} = this;
    for (const lane of this.rows.lanes) {
      context.fillStyle = ink;
      context.font = '600 12px system-ui, "DejaVu Sans", sans-serif';
      context.fillText(lane.name, 4, lane.top + 12, this.gutter - 12);
      context.fillStyle = soft;
      context.font = '11px system-ui, "DejaVu Sans", sans-serif';
      context.fillText(`${grouped(lane.rows)} at once`, 4, lane.top + 26, this.gutter - 12);
    }
  }

  // Wide operations get their stages and their name.
  drawLabels() {
    this.context.font = '11px system-ui, "DejaVu Sans", sans-serif';
    for (const i of this.wide) {
      const {x0, x1, top, height} = this.placeOf(i);
      this.drawStages(i, top, height - 1, Math.max(this.gutter, x0), Math.min(this.width, x1));
    }
  }
  drawStages(i, y, height, x0, x1) {
    const {context, trace} = this;
    for (const {name, begin, end} of stagesOf(trace, i)) {
      if (name === 'wake') continue;
      const left = Math.max(x0, this.x(begin)), right = Math.min(x1, this.x(end));
      if (right - left < .5) continue;
      context.fillStyle = stageColours[name];
      context.fillRect(left, y + height - 3, right - left, 3);
    }
    if (height < 10) return;
    const text = `${trace.kind(i)} ${duration(trace.took(i))}`;
    context.fillStyle = inkOn(trace.hasFailed(i) ? failedColour : kindColour(trace.of(i).kind));
    context.save();
    context.beginPath();
    context.rect(x0, y, x1 - x0 - 3, height);
    context.clip();
    context.fillText(text, x0 + 4, y + (height - 3) / 2 + 4);
    context.restore();
  }

  // The program's own marks: a flag on its thread's band, with its words where there is room.
  drawMarks({ink, accent}) {
    const {context, trace} = this;
    context.font = '11px system-ui, "DejaVu Sans", sans-serif';
    for (const lane of this.rows.lanes) {
      let free = -Infinity;
      for (const mark of this.marksOf(lane)) {
        const x = Math.round(this.x(mark.at)) + .5, text = trace.markText(mark), room = context.measureText(text).width;
        if (x < this.gutter || x > this.width) continue;
        context.strokeStyle = context.fillStyle = accent;
        context.beginPath();
        context.moveTo(x, lane.top - 8);
        context.lineTo(x, lane.rowTop + lane.rows * lane.rowHeight);
        context.stroke();
        context.fillRect(x, lane.top - 8, 6, 5);
        if (x < free) continue;
        context.fillStyle = ink;
        context.fillText(text, x + 9, lane.top - 2);
        free = x + room + 16;
      }
    }
  }
  marksOf(lane) { return lane.thread >= 0 ? this.trace.marks[lane.thread] : []; }
  markAt(lane, x) {
    let best = null;
    for (const mark of this.marksOf(lane)) if (Math.abs(this.x(mark.at) - x) <= (best ? Math.abs(this.x(best.at) - x) : 4)) best = mark;
    return best;
  }

  placeOf(i) {
    const lane = this.rows.lanes[this.rows.laneOf[i]], top = lane.rowTop + this.rows.rowOf[i] * lane.rowHeight;
    return {x0: this.x(this.trace.begin[i]), x1: Math.max(this.x(this.trace.end[i]), this.x(this.trace.begin[i]) + 1), top, height: Math.max(lane.rowHeight, 3)};
  }
  drawSelected({accent, ink}) {
    if (this.selected < 0) return;
    const {context} = this, {x0, x1, top, height} = this.placeOf(this.selected);
    if (x1 < this.gutter || x0 > this.width) return;
    const left = Math.max(x0, this.gutter), right = Math.min(x1, this.width);
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(left - 1.5, top - 1.5, right - left + 3, height + 2);
    context.fillStyle = accent;
    const middle = (left + right) / 2;
    context.beginPath();
    context.moveTo(middle - 6, top - 9);
    context.lineTo(middle + 6, top - 9);
    context.lineTo(middle, top - 2);
    context.fill();
  }

  // The whole trace in one strip: how many operations are in flight, and what of it is shown.
  drawOverview(colours) {
    const {overview} = this, ratio = this.ratio, width = Math.max(1, Math.round(overview.clientWidth * ratio)), height = Math.round(44 * ratio);
    const context = overview.getContext('2d', {willReadFrequently: true});
    if (!this.drawnOverview || this.overviewKey !== colours.key) {
      overview.width = width;
      overview.height = height;
      this.overviewKey = colours.key;
      this.paintOverview(context, width, height);
      this.drawnOverview = context.getImageData(0, 0, width, height);
    }
    context.putImageData(this.drawnOverview, 0, 0);
    const left = this.from / this.trace.length * width, right = Math.max(left + 2, this.to / this.trace.length * width);
    context.fillStyle = colours.accent;
    context.globalAlpha = .16;
    context.fillRect(left, 0, right - left, height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.lineWidth = 2 * ratio;
    context.strokeRect(left + ratio, ratio, right - left - 2 * ratio, height - 2 * ratio);
  }
  paintOverview(context, width, height) {
    const {trace} = this, change = new Float64Array(width + 2), scale = width / trace.length, failed = new Uint8Array(width + 1);
    for (let i = 0; i < trace.count; ++i) {
      // A part of a pixel counts as a part, so that short operations do not all look alike.
      const x0 = trace.begin[i] * scale, x1 = Math.max(trace.end[i] * scale, x0), p = Math.floor(x0), q = Math.floor(x1);
      if (p === q) {
        change[p] += x1 - x0; change[p + 1] -= x1 - x0;
      } else {
        change[p] += p + 1 - x0; change[p + 1] += x0 - p;
        change[q] -= q + 1 - x1; change[q + 1] -= x1 - q;
      }
      if (trace.hasFailed(i)) failed[Math.min(p, width)] = 1;
    }
    let most = 0, sum = 0;
    const level = new Float64Array(width);
    for (let x = 0; x < width; ++x) most = Math.max(most, level[x] = sum += change[x]);
    for (let x = 0; x < width; ++x) {
      context.fillStyle = kindColours[0];
      const bar = most > 0 ? level[x] / most * (height - 4) : 0;
      context.fillRect(x, height - bar, 1, bar);
      if (failed[x]) { context.fillStyle = failedColour; context.fillRect(x, 0, Math.max(1, this.ratio), 4 * this.ratio); }
    }
  }

  // ---- moving ----

  show(from, to) {
    const whole = this.trace.length, width = Math.min(whole, Math.max(to - from, 50));
    this.from = Math.min(Math.max(0, from), whole - width);
    this.to = this.from + width;
    this.schedule();
  }
  pan(share) { const by = (this.to - this.from) * share; this.show(this.from + by, this.to + by); }
  zoom(factor, at = (this.from + this.to) / 2) { this.show(at - (at - this.from) * factor, at + (this.to - at) * factor); }
  showOperation(i) {
    const {begin, end} = this.trace, margin = Math.max((end[i] - begin[i]) * 1.5, 500);
    this.show(begin[i] - margin, end[i] + margin);
  }
  reveal(i) {
    const {begin, end} = this.trace, width = this.to - this.from;
    if (end[i] < this.from || begin[i] > this.to) this.show(begin[i] - width / 2, begin[i] + width / 2);
    else this.schedule();
  }

  // ---- what is where ----

  // Returns {operation}, {span, thread} or {mark, thread}, or null.
  at(x, y) {
    const time = this.time(x), slack = (this.to - this.from) / this.plotWidth * this.ratio * 2;
    for (const lane of this.rows.lanes) {
      if (y >= lane.top - 9 && y < lane.top + lane.band) {
        const mark = this.markAt(lane, x);
        if (mark) return {mark, thread: lane.thread};
      }
      if (y >= lane.top && y < lane.top + lane.band) return this.spanAt(lane, time);
      const row = Math.floor((y - lane.rowTop) / lane.rowHeight);
      if (y < lane.rowTop || row >= lane.rows) continue;
      const found = this.operationAt(lane, row, time, slack);
      return found < 0 ? null : {operation: found};
    }
    return null;
  }
  spanAt(lane, time) {
    const i = lowerBound(lane.spans.count, k => lane.spans.end[k] >= time);
    return i < lane.spans.count && lane.spans.begin[i] <= time ? {span: i, thread: lane.thread} : null;
  }
  operationAt(lane, row, time, slack) {
    const {start, items} = this.rows, {begin, end} = this.trace, first = start[lane.firstRow + row], last = start[lane.firstRow + row + 1];
    const k = first + lowerBound(last - first, j => end[items[first + j]] >= time - slack);
    let best = -1, distance = slack;
    for (let j = k; j < last && begin[items[j]] <= time + slack; ++j) {
      const i = items[j], away = Math.max(begin[i] - time, time - end[i], 0);
      if (away <= distance && (best < 0 || away < distance)) { best = i; distance = away; }
    }
    return best;
  }
  // The operation that is nearest to the middle.
  nearest() {
    const {begin, end, count} = this.trace, middle = (this.from + this.to) / 2;
    let best = -1, distance = Infinity;
    for (let i = 0; i < count; ++i) {
      if (this.matches !== null && this.matches[i] === 0) continue;
      const away = Math.max(begin[i] - middle, middle - end[i], 0);
      if (away < distance) { best = i; distance = away; }
    }
    return best;
  }
}

// The first index for which `is` holds, if it holds for all that follow; or the count.
function lowerBound(count, is) {
  let low = 0, high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(middle)) high = middle; else low = middle + 1;
  }
  return low;
}
