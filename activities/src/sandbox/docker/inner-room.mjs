// Has the worker run a shell command in a room of its own, prints its output and ends as it did. Killed, it hangs up, and that
// ends the command.
import { connect } from "node:net";

const worker = connect("/run/rooms/rooms.sock");
worker.write(`${JSON.stringify({ command: process.argv[2] })}\n`);

let exit;
let pending = Buffer.alloc(0);
worker.on("data", (bytes) => {
	pending = Buffer.concat([pending, bytes]);
	while (pending.length >= 8) {
		const length = pending.readUInt32BE(0);
		if (length === 0) {
			exit = pending.readInt32BE(4);
			break;
		}
		if (pending.length < 4 + length) break;
		process.stdout.write(pending.subarray(4, 4 + length));
		pending = pending.subarray(4 + length);
	}
});
worker.on("error", (problem) => console.error(`no room for this command: ${problem.message}`));
worker.on("close", () => {
	process.exitCode = exit ?? 137;
});
