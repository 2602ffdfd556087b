// node page.mjs ADDRESS TEXT [SCREENSHOT]
// Opens a page in Chromium, waits until it shows TEXT, and prints {title, problems}: what the browser refused or could not load.
import { chromium } from 'playwright-core';

const [address, text, screenshot] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
const problems = [];
page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
page.on('pageerror', (error) => problems.push(String(error)));
page.on('request', (request) => {
  const url = request.url();
  if (!url.startsWith('data:') && !url.startsWith('blob:') && new URL(url).origin !== new URL(address).origin) problems.push(url);
});
await page.goto(address);
await page.waitForFunction((shown) => document.body.innerText.includes(shown), text, { timeout: 20_000 });
if (screenshot) await page.screenshot({ path: screenshot });
console.log(JSON.stringify({ title: await page.title(), problems }));
await browser.close();
