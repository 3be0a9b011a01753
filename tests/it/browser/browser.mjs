// A real browser for the tests: Debian's Chromium, driven by playwright-core, and axe-core, which judges pages.
// A script of a test says `await run(async (page, say) => …)`; each thing that it says is a line of standard output.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

export const [tools, base, ...rest] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
];

export async function run(script) {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(20_000);
    // Nothing is asked of anybody else.
    page.on('request', (request) => {
      if (!request.url().startsWith(base) && !request.url().startsWith('data:')) {
        console.log(`asked elsewhere: ${request.url()}`);
      }
    });
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) console.log(`against the policy: ${message.text()}`);
    });
    page.on('pageerror', (error) => console.log(`script failed: ${error}`));
    await script(page, (line) => console.log(line));
  } finally {
    await browser.close();
  }
}

export async function signIn(page, name, password) {
  await page.goto(`${base}/`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

// Says what axe finds wrong with the page as it stands, on a telephone and on a screen.
export async function judge(page, what, say) {
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    for (const { id, nodes } of violations) {
      say(`${what} at ${width} px: ${id}: ${nodes.map((node) => node.html).join(' ').slice(0, 500)}`);
    }
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    if (tooWide) say(`${what} at ${width} px: it is wider than the window`);
  }
}
