/**
 * Refuses, early and with a reason that the model can act on, what would be refused later anyway: files outside the
 * workspace or the scope, git's own files, tools that nobody asked for. Sends each shell command into an inner room.
 */
import type { ExtensionAPI } from "@earendil-works/pi-coding-agent";
import { accessSync, constants } from "node:fs";
import { changes, find, inside, isPlain, keptBy, offLimits, policy, real, scopeInWords } from "./policy.ts";
import { REQUEST_SCOPE } from "./request_scope.ts";

/** Why a file may not be used, or nothing. */
function problem(path: string, writes: boolean): string | undefined {
	const reason = offLimits(path);
	if (reason) return reason;
	if (!writes) return undefined;
	const name = inside(path);
	const never = keptBy(path);
	if (never !== undefined) return `${name} is kept from every agent, by ${never} in the repository's rules`;
	const may = changes(path);
	const ask = `If you cannot do without it, ask for it with ${REQUEST_SCOPE}`;
	if (may.size === 0) return `${name} is not in the scope, which is: ${scopeInWords()}. ${ask}`;
	if (!may.has("create") && !may.has("modify")) return `${name} is in the scope to be deleted only. ${ask}`;
	if (!may.has("modify") && isKept(path)) return `${name} exists, and only new files are in the scope here. ${ask}`;
	return undefined;
}

/** Whether a file is there that the room may not change. */
function isKept(path: string): boolean {
	if (!find(path)) return false;
	try {
		accessSync(path, constants.W_OK);
		return false;
	} catch {
		return true;
	}
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

export function guardToolCalls(pi: ExtensionAPI) {
	let calls = 0;
	pi.on("tool_call", async (event: any) => {
		const refuse = (reason: string) => ({ block: true, reason: `Refused: ${reason}` });
		calls += 1;
		if (calls > policy.toolCalls) return { ...refuse("too many tool calls"), terminate: true };
		switch (event.toolName) {
			case "read":
			case "write":
			case "edit": {
				if (!isPlain(event.input.path)) return refuse("give a plain path, relative to the workspace");
				const path = real(event.input.path);
				const reason = problem(path, event.toolName !== "read");
				if (reason) return refuse(reason);
				event.input.path = path; // what was judged is what Pi opens
				return undefined;
			}
			case "bash": {
				const { usual, most } = policy.bashSeconds;
				event.input.timeout = Math.min(event.input.timeout ?? usual, most);
				const home = policy.home === null ? "" : `export HOME=${quote(policy.home)}\n`;
				event.input.command = `exec ${quote(policy.launcher)} ${quote(home + String(event.input.command))}`;
				return undefined;
			}
			case REQUEST_SCOPE:
				return undefined; // judges itself
			default:
				return refuse(`there is no tool ${event.toolName}`);
		}
	});
}
