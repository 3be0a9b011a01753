// The forms of all pages, sent as a browser sends them.
import { base } from './browser.mjs';

// The paths of a route: one for each of the values that are known of its parameters.
export function pathsOf(route, values) {
  const [, before, name, after] = route.match(/^(.*?)\{(\w+)\}(.*)$/) ?? [];
  if (!name) return [route];
  if (!(name in values)) throw new Error(`what is {${name}} in ${route}?`);
  return [values[name]].flat().flatMap((value) => pathsOf(`${before}${value}${after}`, values));
}

// Goes to a page and sends the form there that leads to `action`, with this typed into it, past what a browser checks.
export async function send(page, at, action, typed = {}) {
  await page.goto(base + at);
  const answer = page.waitForNavigation();
  await page.evaluate(([action, typed]) => {
    const leads = (form) => new URL(form.action).pathname === action || form.querySelector(`[formaction="${action}"]`);
    const form = [...document.querySelectorAll('form[method="post"]')].find(leads);
    if (!form) throw new Error(`no form here leads to ${action}`);
    for (const [name, value] of Object.entries(typed)) {
      const field = form.elements[name];
      if (field instanceof HTMLSelectElement) field.add(new Option(value, value));
      if (field instanceof HTMLElement && !(field instanceof HTMLButtonElement)) field.value = value;
      // What is said by one of several buttons.
      else form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
    }
    form.action = action;
    form.submit();
  }, [action, typed]);
  return answer;
}

// Each form with something wrong in it: who sends it, where it is, and what is typed.
export function refusals(values) {
  const { patient, open, over, device, accounts, share, reading } = values;
  const about = `/patients/${patient}`;
  const plan = `${about}/care-plan`;
  const rule = `${plan}/rules/glucose-low`;
  const its = {
    ...values, alert: open, code: 'glucose-low', account: accounts[0], device, break_glass: 2,
  };
  const wrongly = (who, route, at, typed, other = {}) => (
    { who, route, at, typed, action: pathsOf(route, { ...its, ...other })[0] }
  );
  return [
    wrongly('nobody', '/sign-in', '/sign-in', { name: 'lead', password: 'not it' }),
    wrongly('nobody', '/share/{secret}', share.path, { ...share.opened, code: '00000000' }),
    wrongly('lead', '/password', '/password', { old: 'not it', new: 'nine wooden horses' }),
    wrongly('lead', '/role', '/role', { role: 'none' }),
    wrongly('lead', '/alerts/{alert}/assign', `/alerts/${open}`, { to: 'Nobody of the team' }),
    wrongly('lead', '/alerts/{alert}/comment', `/alerts/${open}`),
    wrongly('lead', '/alerts/{alert}/snooze', `/alerts/${open}`, { minutes: '7' }),
    wrongly('lead', '/alerts/{alert}/close', `/alerts/${over}`, { reason: '' }, { alert: over }),
    wrongly('lead', '/patients/{patient}/notes', about, { text: '' }),
    wrongly('lead', '/patients/{patient}/readings/entered-in-error', `${about}/readings/entered-in-error?reading=${reading}`),
    wrongly('lead', '/patients/{patient}/care-plan', plan),
    wrongly('lead', '/patients/{patient}/care-plan/try', plan),
    wrongly('lead', '/patients/{patient}/care-plan/rules/{code}', rule),
    wrongly('lead', '/patients/{patient}/care-plan/rules/{code}/try', rule, { guidance: '' }),
    wrongly('lead', '/patients/{patient}/care-plan/rules/{code}/remove', rule),
    wrongly('lead', '/break-glass/open', '/break-glass/open', { nhs_number: '12' }),
    wrongly('lead', '/admin/patients', '/admin/patients/new'),
    wrongly('office', '/admin/patients', '/admin/patients/new'),
    wrongly('lead', '/admin/devices', '/admin/devices/new', { patient: '12', utc_offset_minutes: 'an hour' }),
    wrongly('lead', '/admin/devices/{device}/assign', `/admin/devices/${device[0]}`),
    wrongly('patient', '/patients/{patient}/goal', `${about}/goal`, { steps_a_week: 'a lot' }),
    wrongly('patient', '/patients/{patient}/passport/shares', `${about}/passport`),
    wrongly('privacy', '/break-glass/{break_glass}/review', '/break-glass'),
    wrongly('office', '/admin/people', '/admin/people/new'),
    wrongly('office', '/admin/people/{account}/roles', `/admin/people/${accounts[0]}`, { organisation: 'x' }),
    wrongly('office', '/admin/organisations', '/admin/organisations'),
    wrongly('office', '/admin/patients/{patient}/enrolments', `/admin/patients/${patient}`),
    wrongly('office', '/admin/tokens', '/admin/tokens/new', { scopes: 'Observation', days: 'many' }),
  ];
}
