/**
 * The tool by which the agent asks people for more files. It ends the agent's turn; the worker reads the request from
 * Pi's events, judges it by the contract's rules, and goes on in the same session when people have answered.
 *
 * What is checked here is what only the room can see, or what the model can mend at once: a call that is refused is an
 * error result like any other, and the turn goes on.
 */
import type { ExtensionAPI } from "@earendil-works/pi-coding-agent";
import { Type } from "typebox";
import { absolute, changes, find, inside, isPlain, keptBy, offLimits, policy, real } from "./policy.ts";

export const REQUEST_SCOPE = "request_scope";

const { left, paths: mostPaths, reasonBytes } = policy.scopeRequests;

const parameters = Type.Object({
	paths: Type.Array(Type.String(), {
		description: `All files that you need beside those in the scope, at most ${mostPaths}: exact paths relative to the workspace, no folders and no patterns. A file may not exist yet.`,
	}),
	reason: Type.String({
		description: "Why the task cannot be done without them, for the person who decides: one or a few sentences.",
	}),
});

/** The name by which a file is asked for. Throws the reason why it cannot be. */
function name(path: string): string {
	if (!isPlain(path)) throw new Error("give plain paths, relative to the workspace");
	const place = absolute(path);
	const reason = offLimits(place);
	if (reason) throw new Error(reason);
	const never = keptBy(place);
	if (never !== undefined)
		throw new Error(`nobody can grant ${inside(place)}: the repository keeps it from every agent, by ${never}`);
	if (changes(place).size === 3) throw new Error(`${inside(place)} is in the scope already: change it, and ask for the others only`);
	let leadsTo: string | undefined;
	try {
		leadsTo = real(place);
	} catch {
		// a link that leads nowhere
	}
	if (leadsTo !== place) throw new Error(`${inside(place)} is a link, or lies behind one: ask for the file itself`);
	if (find(place)?.isDirectory()) throw new Error(`${inside(place)} is a folder: name the files`);
	return inside(place);
}

export function offerRequestScope(pi: ExtensionAPI) {
	let asked = false;

	/** What is asked for. Throws the reason why it cannot be. */
	function request(paths: string[], reason: string) {
		if (left === 0) throw new Error("no requests are left: do what can be done without, and say at the end what is missing");
		if (asked) throw new Error("one request at a time: the first one stands");
		if (paths.length === 0) throw new Error("name the files that you need");
		if (paths.length > mostPaths) throw new Error(`${paths.length} files are too many: ask for ${mostPaths} at most`);
		if (reason.trim() === "") throw new Error("say why you need them");
		if (Buffer.byteLength(reason) > reasonBytes) throw new Error(`the reason is too long: at most ${reasonBytes} bytes`);
		return { paths: [...new Set(paths.map(name))], reason };
	}

	pi.registerTool({
		name: REQUEST_SCOPE,
		label: "Request scope",
		description:
			"Ask people to let you change files outside the scope. Use it only when the task cannot be done without them, and ask for no more than it needs. It ends your turn; you go on when somebody has decided.",
		parameters,
		async execute(_id, { paths, reason }) {
			let details;
			try {
				details = request(paths, reason);
			} catch (error) {
				throw new Error(`Refused: ${(error as Error).message}`);
			}
			asked = true;
			const text = "You have asked. Your turn ends here; when somebody has decided, you will be told, and go on.";
			return { content: [{ type: "text", text }], details, terminate: true };
		},
	});

	// Tools that the model called beside it run to their end and keep their results. But then the batch as a whole does
	// not end the turn, so it is ended here, after all of it is in the session and before the model is asked again.
	pi.on("turn_end", (event: any, context) => {
		if (asked && event.toolResults.length > 1) context.abort();
		asked = false;
	});
}
