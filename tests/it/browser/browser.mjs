// A real browser for the tests: Debian's Chromium, driven by playwright-core, and axe-core, which judges pages.
// A script of a test says `await run(async (page, say) => …)`; each thing that it says is a complaint.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export const [tools, base, ...rest] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];
const say = (line) => console.log(line);
const answers = createInterface({ input: process.stdin });
const answered = answers[Symbol.asyncIterator]();

// Asks the test to do something, and goes on when it is done, with what the test answers.
export async function please(what) {
  say(`please: ${what}`);
  return JSON.parse((await answered.next()).value);
}

// Complains of what no page may do.
export function watch(page) {
  page.setDefaultTimeout(20_000);
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(base)) {
      say(`asked elsewhere: ${request.url()}`);
    }
  });
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) say(`against the policy: ${message.text()}`);
  });
  page.on('pageerror', (error) => say(`script failed: ${error}`));
  return page;
}

// Runs a script with a page; another person's browser is another context: `watch(await (await browser.newContext()).newPage())`.
export async function run(script) {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  try {
    const context = await browser.newContext({ timezoneId: 'Europe/London', locale: 'en-GB' });
    await script(watch(await context.newPage()), say, browser);
    say('seen');
  } finally {
    await browser.close();
    answers.close();
  }
}

export async function signIn(page, name, password) {
  await page.goto(`${base}/sign-in`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

// How a page can be looked at. A look changes colours alone, so that only what is about colours is asked of each.
const LOOKS = [
  { contrast: 'no-preference', forcedColors: 'none' },
  { contrast: 'more', forcedColors: 'none' },
  { contrast: 'more', forcedColors: 'active' },
];
const ABOUT_COLOURS = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };

// Says what axe finds wrong with the page as it stands: on a telephone and on a screen, light and with high contrast.
export async function judge(page, what, say) {
  const before = page.viewportSize();
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    if (tooWide) say(`${what} at ${width} px: it is wider than the window`);
    for (const look of LOOKS) {
      await page.emulateMedia(look);
      if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
      const options = { resultTypes: ['violations'], ...(look === LOOKS[0] ? {} : { runOnly: ABOUT_COLOURS }) };
      const { violations } = await page.evaluate((options) => window.axe.run(options), options);
      for (const { id, nodes } of violations) {
        const where = nodes.map((node) => node.html).join(' ').slice(0, 500);
        say(`${what} at ${width} px, ${JSON.stringify(look)}: ${id}: ${where}`);
      }
    }
  }
  await page.emulateMedia(LOOKS[0]);
  await page.setViewportSize(before);
}
