// Every page in every state, as each of its readers sees it: of a record in which nothing is yet, and of the same one with
// everything in it; each form refused; without scripts and without a connection; and what is shown where there is no page.
// Which pages and forms there are, the server says: one that is judged nowhere is complained of, so that none is forgotten.
import { base, judge, rest, run, signIn, watch } from './browser.mjs';
import { furnish } from './every_page_furnish.mjs';
import { pathsOf, refusals, send } from './every_page_forms.mjs';

const known = JSON.parse(rest[0]);
const about = `/patients/${known.patient}`;

// Who goes through all pages, each in the role that sees most of its kind.
const READERS = ['nobody', 'lead', 'patient', 'privacy', 'office'];
// Routes that answer no page of their own: `/` leads on, the list is a part of the worklist, and a record is a file.
const NO_PAGES = ['/', '/worklist/list', '/patients/{patient}/passport/download'];
const FOR_PROGRAMS = /^\/(api|fhir|assets|healthz|readyz|metrics)\b/;
// Pages about something that has to be there.
const ONLY_FULL = [
  '/alerts/{alert}', '/patients/{patient}/readings/entered-in-error', '/patients/{patient}/care-plan/rules/{code}',
  '/admin/devices/{device}', '/share/{secret}',
];
// Forms into which nothing is typed, so that nothing is wrong with them.
const NOTHING_TYPED = [
  '/sign-out', '/alerts/{alert}/acknowledge', '/patients/{patient}/goal/stop',
  '/patients/{patient}/choices/sharing/{organisation}', '/patients/{patient}/choices/research',
  '/patients/{patient}/passport/shares/{share}/revoke', '/admin/people/{account}/lock', '/admin/people/{account}/unlock',
  '/admin/people/{account}/password', '/admin/people/{account}/roles/{role}/end',
  '/admin/patients/{patient}/enrolments/{team}/end', '/admin/devices/{device}/return', '/admin/devices/{device}/revoke',
  '/admin/tokens/{token}/revoke', '/admin/rejected/replay', '/admin/rejected/{message}/replay',
];
// What pages show otherwise when they are asked so.
const QUERIES = {
  '/practice': ['?programme=hypertension', '?programme=virtual-ward&standing=in_target'],
  '/patients': ['?query=A', '?query=zz', '?query=999%20000%200000'],
  '/worklist': ['?severity=info', '?mine=true'],
  '/patients/{patient}': ['?range=24h'],
  '/patients/{patient}/alerts': ['?status=closed'],
  '/patients/{patient}/readings': ['?type=blood_pressure', '?range=24h&type=body_weight'],
  '/patients/{patient}/access-log': ['?only=break_glass', '?only=refused'],
  '/patients/{patient}/choices': ['?done=not-shared'],
  '/patients/{patient}/passport': ['?revoked=true'],
  '/refused': ['?about=nobody', '?who=zz', '?day=x'],
  '/admin/people': ['?q=zz'],
  '/admin/patients': ['?q=zz'],
  '/admin/devices': ['?with=nobody', '?with=revoked', '?q=zz'],
  '/admin/devices/new': [`?patient=${known.patient}`],
  '/admin/rejected': ['?all=true'],
};

// The routes of pages, and those of forms.
async function routesForPeople() {
  const counted = await (await fetch(`${base}/metrics`)).text();
  const all = [...counted.matchAll(/^homeward_api_requests_total\{route="([^"]+)",method="(\w+)",status="200"\}/gm)];
  const of = (method) => all.map(([, route, by]) => by === method && !FOR_PROGRAMS.test(route) && route).filter(Boolean);
  return { pages: of('GET').filter((route) => !NO_PAGES.includes(route)), forms: of('POST') };
}

// A page for each of the people, who has signed in.
async function everybody(browser, nobody) {
  const people = { nobody };
  for (const name of ['lead', 'patient', 'privacy', 'office', 'stranger']) {
    const context = await browser.newContext({ timezoneId: 'Europe/London', locale: 'en-GB' });
    people[name] = watch(await context.newPage());
    await signIn(people[name], name, known.password);
    await people[name].waitForURL((url) => url.pathname !== '/sign-in');
  }
  return people;
}

await run(async (nobody, say, browser) => {
  const { pages, forms } = await routesForPeople();
  const people = await everybody(browser, nobody);

  // Two people see some pages alike, and some pages say the same in both states: each is judged once.
  const seen = new Set();
  const look = async (page, what) => {
    const says = await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true;
      return document.querySelector('main').innerHTML.replace(/value="[^"]*"/g, '');
    });
    if (seen.has(says)) return;
    seen.add(says);
    // A link under the mouse has no line.
    await page.mouse.move(0, 0);
    await judge(page, what, say);
  };

  const judged = new Set();
  const statuses = new Set();
  const visit = async (name, state, route, path) => {
    const page = people[name];
    const status = (await page.goto(base + path)).status();
    const what = `${path} for ${name}, ${state}`;
    if (status >= 500) say(`${what}: ${status}`);
    if (status < 400 && page.url() === base + path) {
      await look(page, what);
      judged.add(`${state}: ${route}`);
    } else if (status >= 400 && !statuses.has(status)) {
      await look(page, what);
      statuses.add(status);
    }
  };
  const walk = async (state, values) => {
    for (const name of READERS) {
      for (const route of pages) {
        const queries = ['', ...(QUERIES[route] ?? [])];
        const paths = pathsOf(route, values).flatMap((path) => queries.map((query) => path + query));
        for (const path of paths) await visit(name, state, route, path);
      }
    }
  };

  const { patient, team, accounts } = known;
  const nothing = {
    patient, alert: 1, code: 'glucose-low', organisation: team, account: accounts, device: 1, secret: '0'.repeat(64),
  };
  await walk('empty', nothing);
  const values = await furnish(people, known, look, say);
  QUERIES['/patients/{patient}/readings/entered-in-error'] = [`?reading=${values.reading}`];
  await walk('full', values);

  const refused = new Set();
  for (const { who, route, at, typed, action } of refusals(values)) {
    const page = people[who];
    const status = (await send(page, at, action, typed)).status();
    if (status < 400 || (await page.getByRole('alert').count()) === 0) say(`${route}, wrongly: ${status}, without an alert`);
    await look(page, `${route}, wrongly`);
    refused.add(route);
  }

  for (const [name, path] of [['lead', '/worklist'], ['lead', about], ['lead', `${about}/review`], ['patient', about]]) {
    const page = people[name];
    await page.route('**/*.js', (route) => route.abort());
    await page.goto(base + path);
    await look(page, `${path} without scripts`);
    await page.unroute('**/*.js');
  }
  const { lead } = people;
  for (const path of ['/worklist', about]) {
    await lead.goto(base + path);
    await lead.getByText(/^Live: /).waitFor();
    await lead.context().setOffline(true);
    await lead.getByText(/^No connection/).waitFor();
    await look(lead, `${path} without a connection`);
    await lead.context().setOffline(false);
  }

  for (const route of pages) {
    if (!judged.has(`full: ${route}`)) say(`${route} is judged nowhere`);
    if (!judged.has(`empty: ${route}`) && !ONLY_FULL.includes(route)) say(`${route} is judged nowhere with nothing on it`);
  }
  for (const route of forms) {
    if (!refused.has(route) && !NOTHING_TYPED.includes(route)) say(`${route} is refused nowhere`);
  }
});
