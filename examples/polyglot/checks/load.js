/** Asks the catalogue for its products for some seconds, and writes how long that took as facts. */

import { mkdir, writeFile } from "node:fs/promises";

import autocannon from "autocannon";

const url = process.env.CATALOG_URL;
if (!url) throw new Error("CATALOG_URL is not set: this needs a running catalogue, see README.md");

const millis = [];
const load = autocannon({ url: `${url}/products`, connections: 4, duration: 3 });
load.on("response", (_client, status, _bytes, time) => {
  if (status === 200) millis.push(time);
});
const result = await load;

millis.sort((a, b) => a - b);
/** As much time as this share of the requests took at most. */
const within = (share) => millis[Math.max(Math.ceil(millis.length * share) - 1, 0)];
const failed = result.errors + result.non2xx;
const measures = {
  "http_req_failed.rate": { value: failed / Math.max(millis.length + failed, 1), unit: "share" },
};
for (const [name, share] of [["med", 0.5], ["p95", 0.95], ["max", 1]]) {
  if (millis.length > 0) measures[`http_req_duration.${name}`] = { value: within(share), unit: "millis" };
}

await mkdir("out", { recursive: true });
await writeFile("out/load.json", JSON.stringify({ facts: 1, examined: millis.length, measures }, null, 2) + "\n");
console.log(`${millis.length} answers, ${failed} failed, 95 % within ${within(0.95)?.toFixed(1)} ms`);
