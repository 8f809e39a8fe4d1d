// use_page.mjs CHROMIUM SMALL BIG EMPTY DIAGRAMS [SCREENSHOTS] — opens the pages from file://, uses them as a person does, and asks axe about them.
import {readFileSync, writeFileSync} from 'node:fs';
import {AxeBuilder} from '@axe-core/playwright';
import {chromium} from 'playwright-core';

const [executablePath, small, big, empty, diagrams, screenshots] = process.argv.slice(2);
const browser = await chromium.launch({executablePath, args: ['--no-sandbox', '--disable-gpu', '--allow-file-access-from-files']});
const wrong = [];

async function open(file, colorScheme = 'light') {
  const context = await browser.newContext({viewport: {width: 1280, height: 900}, colorScheme, offline: true});
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  page.setDefaultTimeout(200_000);  // a machine may be busy
  page.on('pageerror', error => wrong.push(`the page threw ${error.stack}`));
  page.on('request', request => { if (!request.url().startsWith('file:')) wrong.push(`the page asked for ${request.url()}`); });
  await page.goto(`file://${file}`);
  await page.waitForFunction(() => performance.getEntriesByName('iotrace-complete').length > 0);
  return page;
}
function expect(what, is) {
  console.log(`${is ? 'ok' : 'FAILED'}: ${what}`);
  if (!is) wrong.push(what);
}
const live = page => page.locator('#live').textContent();
const shown = page => page.evaluate(() => [window.iotrace.timeline.from, window.iotrace.timeline.to]);
const width = async page => { const [from, to] = await shown(page); return to - from; };

async function accessibility(page, what) {
  const {violations, passes} = await new AxeBuilder({page}).analyze();
  for (const one of violations) console.log(`${what}: ${one.id}: ${one.help}: ${one.nodes.map(node => node.html).join(' ')}`);
  expect(`${what}: axe finds nothing wrong, and applied ${passes.length} rules`, violations.length === 0 && passes.length > 10);
}

// The canvas shows something: more than one colour.
const colours = page => page.evaluate(() => {
  const canvas = document.getElementById('timeline');
  return new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
});

async function holds_what_the_trace_holds(page) {
  const expected = readFileSync(small.replace(/[^/]*$/, 'expected'), 'utf8').trim().split('\n');
  const found = await page.evaluate(() => {
    const {trace, stagesOf} = window.iotrace;
    return Array.from({length: trace.count}, (_, i) => ({kind: trace.kind(i), begin: trace.begin[i], end: trace.end[i],
      stages: stagesOf(trace, i).map(({name, begin, end}) => [name, begin, end]).flat()}));
  });
  expect('it has as many operations as the trace', found.length === expected.length && found.length > 100);
  const first = Number(expected[0].split(' ')[2]) - found[0].begin;
  const lines = found.map(({kind, begin, end, stages}, i) => [i + 1, kind, begin + first, end + first,
    ...stages.map(one => typeof one === 'number' ? one + first : one)].join(' '));
  const different = lines.findIndex((line, i) => line !== expected[i]);
  if (different >= 0) console.log(`page:  ${lines[different]}\ntrace: ${expected[different]}`);
  expect('their kinds, times and stages are those of the trace', different < 0);
}

async function names_tasks_and_draws_marks(page) {
  const {name, marks, text, hit} = await page.evaluate(() => {
    const {trace, timeline} = window.iotrace, mark = trace.marks[1][0], lane = timeline.rows.lanes.find(one => one.thread === 1);
    timeline.show(mark.at - 1000, mark.at + 1000);
    timeline.draw();
    return {name: trace.tasks[trace.task[0]], marks: trace.marks.flat().length, text: trace.markText(mark),
      hit: timeline.at(timeline.x(mark.at), lane.top - 4)};
  });
  expect('a task has the name and the number of the trace', name.number === 2 && name.name === 'client (http.cpp:7)');
  expect('the program\'s mark is there, with its number', marks === 1 && /^cache is full 4.?096$/.test(text));
  expect('who points at the mark gets it', hit?.mark !== undefined);
  await page.evaluate(() => { window.iotrace.timeline.show(0, window.iotrace.trace.length); window.iotrace.timeline.draw(); });
}

async function keyboard(page) {
  const canvas = page.locator('#timeline');
  await canvas.focus();
  const whole = await width(page);
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  expect('+ zooms in', await width(page) < whole);
  const [before] = await shown(page);
  await page.keyboard.press('ArrowRight');
  expect('an arrow key pans', (await shown(page))[0] > before);
  await page.keyboard.press('0');
  expect('0 shows all', await width(page) === whole);
  await page.keyboard.press('Enter');
  expect('Enter selects an operation, and says so', /number \d+/.test(await live(page)));
  const one = await live(page);
  await page.keyboard.press('ArrowDown');
  expect('an arrow down selects the next one', await live(page) !== one);
  await page.keyboard.press('Enter');
  expect('Enter moves to its diagram', await page.evaluate(() => document.activeElement.id) === 'detail');
  await page.keyboard.press('Escape');
  expect('Esc goes back to the timeline', await page.evaluate(() => document.activeElement.id) === 'timeline');
  await page.keyboard.press('Escape');
  expect('Esc again selects nothing', await page.locator('#detail').isHidden());
  const visited = new Set();
  await page.locator('#group').focus();
  for (let i = 0; i < 24; ++i) {
    await page.keyboard.press('Tab');
    visited.add(await page.evaluate(() => document.activeElement.id || document.activeElement.tagName));
  }
  expect('Tab reaches the search, the timeline and the table', ['search', 'timeline', 'order'].every(id => visited.has(id)));
}

async function searching(page) {
  await page.keyboard.press('/');
  expect('a slash goes to the search', await page.evaluate(() => document.activeElement.id) === 'search');
  await page.keyboard.type('read failed');
  await page.keyboard.press('Enter');
  const said = await page.locator('#found').textContent(), counted = await page.evaluate(() => {
    const {trace} = window.iotrace;
    let count = 0;
    for (let i = 0; i < trace.count; ++i) if (trace.kind(i) === 'read' && trace.result[i] < 0) ++count;
    return count;
  });
  expect('the search finds the reads that failed', counted > 0 && said.startsWith(`${counted} of `));
  expect('Enter selects one of them', /^read #\d+/.test(await page.locator('#detail-title').textContent()));
  expect('the table shows only them', await page.locator('#operations tbody tr').count() === Math.min(25, counted));
  await page.keyboard.press('Escape');
  expect('Esc ends the search', await page.locator('#found').textContent() === '');
}

// Returns where operation number 20 is shown.
function placeOfOne(page) {
  // The page may still scroll, or draw what came before: the place is asked for when it has stood still for two frames.
  return page.evaluate(async () => {
    const {timeline, trace} = window.iotrace, i = 20, canvas = document.getElementById('timeline');
    const frame = () => new Promise(requestAnimationFrame);
    timeline.showOperation(i);
    const place = () => {
      const {x0, x1, top, height} = timeline.placeOf(i), box = canvas.getBoundingClientRect();
      return {i, kind: trace.kind(i), x: box.left + (x0 + x1) / 2, y: box.top + top + height / 2};
    };
    for (let before, now = place(); ; now = place()) {
      if (before && before.x === now.x && before.y === now.y) return now;
      before = now;
      await frame();
      await frame();
      timeline.draw();
    }
  });
}

async function clicking(page) {
  let isOpen = false;
  for (let attempt = 0; attempt < 3 && !isOpen; ++attempt) {  // a busy machine may draw something else between the two
    const spot = await placeOfOne(page), title = `${spot.kind} #${spot.i + 1}:`;
    await page.mouse.click(spot.x, spot.y);
    isOpen = await page.waitForFunction(title => document.getElementById('detail-title').textContent.startsWith(title), title, {timeout: 5000})
      .then(() => true, () => false);
  }
  expect('a click opens the operation', isOpen);
  const diagram = page.locator('#diagram svg');
  expect('its diagram has its participants', await diagram.locator('rect.who').count() >= 3);
  expect('its diagram is told to screen readers', (await diagram.getAttribute('aria-label')).includes('process_completions()'));
  expect('its stages are listed', await page.locator('#stages tbody tr').count() >= 4);
  const i = await page.evaluate(() => [...Array(window.iotrace.trace.count).keys()].find(i => window.iotrace.trace.head.why[i + 1]));
  await page.evaluate(i => window.iotrace.select(i, false), i);
  expect('the words of iotrace why are shown', await page.locator('#why').textContent() === 'A planted </script> reason.');
  const before = await shown(page);
  await page.mouse.move(700, 330);
  await page.mouse.down();
  await page.mouse.move(500, 330, {steps: 4});
  await page.mouse.up();
  expect('dragging pans', (await shown(page))[0] > before[0]);
  const wide = await width(page);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -300);
  await page.keyboard.up('Control');
  await page.waitForFunction(wide => window.iotrace.timeline.to - window.iotrace.timeline.from < wide, wide);
  expect('Ctrl and the wheel zoom', true);
}

async function copying(page) {
  await page.locator('#operations tbody button').first().click();
  await page.locator('#copy').click();
  await page.waitForFunction(() => document.getElementById('live').textContent.startsWith('Copied'));
  const text = await page.evaluate(() => navigator.clipboard.readText());
  expect('what is copied is Mermaid', text.startsWith('sequenceDiagram\n') && /->>\+Kernel \(io_uring\): io_uring_submit\(\)/.test(text));
  writeFileSync(`${diagrams}/copied.mmd`, text);
  const others = await page.evaluate(() => Array.from({length: 150}, (_, i) => window.iotrace.mermaid(i * 13)));
  others.forEach((other, i) => writeFileSync(`${diagrams}/${i + 1}.mmd`, other));
  expect('some of the diagrams are of operations that came from another thread', others.some(one => one.includes('MPSCQueue')) && others.some(one => !one.includes('MPSCQueue')));
}

async function other_views(page) {
  for (const how of ['task', 'kind', 'worker']) {
    await page.locator('#group').selectOption(how);
    expect(`rows by ${how} show operations`, await colours(page) > 8);
  }
  await page.locator('#order').selectOption('time');
  expect('the table is in the order of time', await page.locator('#operations tbody button').first().textContent() === '#1');
  await page.locator('#part').selectOption('kernel');
  expect('histograms of a stage are shown', await page.locator('#histograms tbody svg').count() >= 4);
}

async function many(file) {
  const page = await open(file);
  const first = await page.evaluate(() => window.iotrace.firstViewMs), count = await page.evaluate(() => window.iotrace.trace.count);
  const pans = await page.evaluate(() => {
    const {timeline} = window.iotrace, times = [];
    timeline.zoom(.9);
    for (let i = 0; i < 31; ++i) {
      const begin = performance.now();
      timeline.pan(i % 2 ? -.05 : .05);
      timeline.draw();
      times.push(performance.now() - begin);
    }
    return times.sort((a, b) => a - b);
  });
  console.log(`measured: ${count} operations: first view ${first.toFixed(0)} ms, pan ${pans[15].toFixed(1)} ms (median), ${pans[0].toFixed(1)} ms (fastest)`);
  expect('a large trace is shown in less than a minute', count >= 100_000 && first < 60_000 && pans[15] < 5000);
  expect('a large trace has colours', await colours(page) > 8);
  if (screenshots) await page.screenshot({path: `${screenshots}/large.png`});
}

const page = await open(small);
expect('the canvas shows operations', await colours(page) > 8);
await holds_what_the_trace_holds(page);
await names_tasks_and_draws_marks(page);
await keyboard(page);
await searching(page);
await clicking(page);
await copying(page);
await accessibility(page, 'light');
if (screenshots) await page.screenshot({path: `${screenshots}/light.png`, fullPage: true});
await other_views(page);
const dark = await open(small, 'dark');
await dark.evaluate(() => window.iotrace.select(30, false));
await accessibility(dark, 'dark');
if (screenshots) await dark.screenshot({path: `${screenshots}/dark.png`, fullPage: true});
const narrow = await open(small);
await narrow.setViewportSize({width: 420, height: 800});
await narrow.evaluate(() => window.iotrace.select(30, false));
expect('nothing is cut off on a narrow screen', await narrow.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
await many(big);
const nothing = await open(empty);
for (const key of ['Enter', '+', 'ArrowDown', 'ArrowRight', 'Escape']) await nothing.locator('#timeline').press(key);
expect('a trace without operations is a page, too', (await nothing.locator('#facts').textContent()).startsWith('0 operations'));
await accessibility(nothing, 'without operations');
await browser.close();
if (wrong.length > 0) {
  console.log(`FAILED: ${wrong.join('\nFAILED: ')}`);
  process.exit(1);
}
