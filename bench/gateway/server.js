// Node's `ws` as a server under measurement: the same bytes to everybody, texts counted.
const { WebSocketServer } = require("ws");
const readline = require("node:readline");

const payload = "x".repeat(491);
const sockets = [];
let messages = 0;
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const tell = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 });
server.on("connection", (socket) => {
  sockets.push(socket);
  socket.on("message", (data) => (data.toString(), messages++));
});
server.on("listening", () => tell({ port: server.address().port }));

async function same(rounds) {
  const began = cpuSeconds();
  for (let round = 0; round < rounds; round++) {
    for (const socket of sockets) socket.send(payload);
    await new Promise(setImmediate);
  }
  return { cpu_s: cpuSeconds() - began };
}

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const [word, number] = line.split(" ");
  tell(word === "same" ? await same(Number(number)) : { messages, cpu_s: cpuSeconds() });
});
lines.on("close", () => process.exit(0));
