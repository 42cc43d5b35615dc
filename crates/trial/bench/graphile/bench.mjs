// Jobs a second of graphile-worker: submitted one at a time by many callers, and done by one worker,
// each with an effect that has a durable commit of its own.
//
// node bench.mjs URL JOBS CALLERS CONCURRENT default|batched
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { readFileSync } from "node:fs";

const [url, jobs, callers, concurrent] = [process.argv[2], ...process.argv.slice(3, 6).map(Number)];
const logger = new Logger(() => () => {});
// The settings that graphile-worker offers for speed: jobs are fetched and completed many at a time.
const batched = {
  localQueue: { size: 4 * concurrent },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
const preset = {
  worker: {
    connectionString: url,
    concurrentJobs: concurrent,
    maxPoolSize: callers + concurrent + 4,
    logger,
    ...(process.argv[6] === "batched" ? batched : {}),
  },
};
const utils = await makeWorkerUtils({ preset });
await utils.migrate();

let done = 0;
let finish;
const finished = new Promise((resolve) => (finish = resolve));
const runner = await run({
  preset,
  noHandleSignals: true,
  taskList: {
    effect: async (payload, helpers) => {
      await helpers.query("insert into effects (id) values ($1)", [payload.id]);
    },
  },
});
runner.events.on("job:complete", () => {
  done += 1;
  if (done === jobs) finish();
});

let next = 0;
async function submit() {
  while (next < jobs) {
    const id = next;
    next += 1;
    await utils.addJob("effect", { id });
  }
}
const begun = process.hrtime.bigint();
await Promise.all(Array.from({ length: callers }, submit));
await finished;
const seconds = Number(process.hrtime.bigint() - begun) / 1e9;

// A job is said to be complete before that is written down; this is not counted against it.
const count = (text) => utils.withPgClient(async (c) => Number((await c.query(text)).rows[0].count));
const until = Date.now() + 60_000;
let left = jobs;
while (left > 0 && Date.now() < until) left = await count("select count(*) from graphile_worker.jobs");
await runner.stop();
const effects = await count("select count(distinct id) from effects");
await utils.release();
const version = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
const worker = version("node_modules/graphile-worker/package.json");
console.log(JSON.stringify({ seconds, effects, left, worker, node: process.version }));
