/**
 * Sallyport's extension of Pi. Two things, both inside the agent's room:
 *
 * 1. It forwards connections on the room's loopback to the model gateway's socket: Pi speaks HTTP only over TCP.
 * 2. It refuses, early and with a reason that the model can act on, what would be refused later anyway: files outside
 *    the workspace or the SPEC's scope, git's own files, tools that nobody asked for. It sends each shell command into
 *    an inner room.
 *
 * It is not the boundary: the rooms are, and the check of the diff from outside. It fails closed: if it does not
 * load, Pi ends before its first request; if a handler throws, Pi refuses the call.
 */
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { connect, createServer } from "node:net";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import type { ExtensionAPI } from "@earendil-works/pi-coding-agent";

interface Policy {
	/** The workspace's folder. */
	workspace: string;
	/** The files that may be written, relative to the workspace. */
	scope: string[];
	/** The program that runs a shell command in an inner room. */
	launcher: string;
	/** Seconds that a shell command may take if the model does not say, and at most. */
	bashSeconds: { usual: number; most: number };
	/** How many tools may be called. */
	toolCalls: number;
	/** Where Pi expects the model, and the socket where it really is. */
	forward: { port: number; socket: string };
}

const policy: Policy = JSON.parse(readFileSync(process.env.SALLYPORT_POLICY!, "utf8"));
const root = realpathSync(policy.workspace);
const scope = new Set(policy.scope);

/** Pi itself reads `@x`, `~/x`, `file:///x` and odd spaces as something else than they say. */
const AMBIGUOUS = /^[@~]|^[a-z][a-z0-9+.-]*:|[\0-\x1f\x7f\u00a0\u1680\u2000-\u200b\u202f\u205f\u2028\u2029\u3000\ufeff]/i;

function exists(path: string): boolean {
	try {
		lstatSync(path); // not existsSync: a link that leads nowhere is there, too
		return true;
	} catch {
		return false;
	}
}

/** Where a path really leads, links followed, also if its last parts do not exist yet. Throws if a link leads nowhere. */
function real(path: string): string {
	const missing: string[] = [];
	let current = resolve(root, path);
	while (!exists(current) && dirname(current) !== current) {
		missing.unshift(basename(current));
		current = dirname(current);
	}
	return join(realpathSync(current), ...missing);
}

/** Why a file may not be used, or nothing. */
function problem(path: string, writes: boolean): string | undefined {
	const inside = relative(root, path);
	if (inside === "" || inside === ".." || inside.startsWith(`..${sep}`)) return `${path} is outside the workspace`;
	if (inside.split(sep).some((part) => part.toLowerCase() === ".git")) return "git's own files are off limits";
	if (writes && !scope.has(inside)) return `${inside} is not in the SPEC's scope, which is: ${policy.scope.join(", ")}`;
	return undefined;
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

export default async function (pi: ExtensionAPI) {
	let calls = 0;
	pi.on("tool_call", async (event: any) => {
		const refuse = (reason: string) => ({ block: true, reason: `Refused: ${reason}` });
		calls += 1;
		if (calls > policy.toolCalls) return { ...refuse("too many tool calls"), terminate: true };
		switch (event.toolName) {
			case "read":
			case "write":
			case "edit": {
				if (typeof event.input.path !== "string" || AMBIGUOUS.test(event.input.path))
					return refuse("give a plain path, relative to the workspace");
				const path = real(event.input.path);
				const reason = problem(path, event.toolName !== "read");
				if (reason) return refuse(reason);
				event.input.path = path; // what was judged is what Pi opens
				return undefined;
			}
			case "bash": {
				const { usual, most } = policy.bashSeconds;
				event.input.timeout = Math.min(event.input.timeout ?? usual, most);
				event.input.command = `exec ${quote(policy.launcher)} ${quote(String(event.input.command))}`;
				return undefined;
			}
			default:
				return refuse(`there is no tool ${event.toolName}`);
		}
	});

	const forwarder = createServer({ allowHalfOpen: true }, (client) => {
		const gateway = connect({ path: policy.forward.socket, allowHalfOpen: true });
		const end = () => {
			client.destroy();
			gateway.destroy();
		};
		client.on("error", end).pipe(gateway);
		gateway.on("error", end).pipe(client);
	});
	await new Promise<void>((listening, failed) => {
		forwarder.once("error", failed).listen(policy.forward.port, "127.0.0.1", listening);
	});
	forwarder.unref(); // does not keep Pi from ending
}
