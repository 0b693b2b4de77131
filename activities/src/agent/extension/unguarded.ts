/**
 * Stands in for `guard.ts` in the trial that shows what holds without it: only sends each shell command into an inner
 * room. In no build but those of tests.
 */
import type { ExtensionAPI } from "@earendil-works/pi-coding-agent";
import { policy } from "./policy.ts";

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

export function guardToolCalls(pi: ExtensionAPI) {
	pi.on("tool_call", async (event: any) => {
		if (event.toolName === "bash") event.input.command = `exec ${quote(policy.launcher)} ${quote(String(event.input.command))}`;
		return undefined;
	});
}
