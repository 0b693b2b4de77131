// Runs a shell command with a loopback port that leads to the proxy at a socket: package managers speak to a proxy only
// over TCP. The command's end is the end. Arguments: the socket, the port, the command.
import { spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { constants } from "node:os";

const [socket, port, command] = process.argv.slice(2);

const bridge = createServer({ allowHalfOpen: true }, (client) => {
	const proxy = connect({ path: socket, allowHalfOpen: true });
	const end = () => {
		client.destroy();
		proxy.destroy();
	};
	client.on("error", end).pipe(proxy);
	proxy.on("error", end).pipe(client);
});

bridge.listen(Number(port), "127.0.0.1", () => {
	const child = spawn("/bin/bash", ["-c", command], { stdio: "inherit" });
	child.on("error", (problem) => {
		console.error(problem.message);
		process.exit(127);
	});
	child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
});
