// node-redis as an application uses it, in both protocols: node_redis.mjs host:port
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createClient } from "redis";

const version = JSON.parse(readFileSync("node_modules/redis/package.json")).version;

for (const RESP of [2, 3]) {
  const options = { url: `redis://${process.argv[2]}`, RESP, name: "smoke" };
  const client = await createClient(options).on("error", (error) => { throw error; }).connect();
  assert.equal(await client.ping(), "PONG");
  await client.flushDb();
  assert.equal(await client.set("k", "v"), "OK");
  assert.equal(await client.get("k"), "v");
  assert.equal(await client.get("missing"), null);
  assert.equal(await client.set("k", "w", { expiration: { type: "EX", value: 100 }, GET: true }), "v");
  assert.equal(await client.ttl("k"), 100);
  assert.equal(await client.incr("n"), 1);
  assert.equal(await client.mSet({ a: "1", b: "2" }), "OK");
  assert.deepEqual(await client.mGet(["a", "missing", "b"]), ["1", null, "2"]);
  assert.equal(await client.rPush("l", ["x", "y"]), 2);
  assert.deepEqual(await client.lRange("l", 0, -1), ["x", "y"]);
  assert.equal(await client.sAdd("s", ["x", "y"]), 2);
  assert.deepEqual([...await client.sMembers("s")].sort(), ["x", "y"]);
  assert.equal(await client.hSet("h", { f: "v", g: "w" }), 2);
  assert.deepEqual({ ...await client.hGetAll("h") }, { f: "v", g: "w" });
  assert.deepEqual(await client.multi().set("p", "1").incr("p").exec(), ["OK", 2]);
  const other = await client.duplicate().connect();
  await client.watch("p");
  await other.set("p", "changed meanwhile");
  await assert.rejects(client.multi().set("p", "0").exec(), /watched/i);
  const keys = [];
  for await (const page of client.scanIterator({ COUNT: 3 })) keys.push(...page);
  assert.equal(new Set(keys).size, await client.dbSize());
  await assert.rejects(client.incr("s"), /WRONGTYPE/);
  assert.equal(await client.clientGetName(), "smoke");
  assert.match(String(await client.info()), /redis_version:/);
  await client.flushDb();
  await other.close();
  await client.close();
  console.log(`node-redis ${version}, RESP${RESP}: ok`);
}
