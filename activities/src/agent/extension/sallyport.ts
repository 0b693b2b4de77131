/**
 * Sallyport's extension of Pi, inside the agent's room:
 *
 * - `guard.ts` refuses tool calls that would be refused later anyway, and sends each shell command into an inner room.
 * - `request_scope.ts` is the tool by which the agent asks people for more files.
 * - `gateway.ts` is Pi's way to the model.
 *
 * It is not the boundary: the rooms are, and the check of the diff from outside. It fails closed: if it does not
 * load, Pi ends before its first request; if a handler throws, Pi refuses the call.
 */
import type { ExtensionAPI } from "@earendil-works/pi-coding-agent";
import { forwardToGateway } from "./gateway.ts";
import { guardToolCalls } from "./guard.ts";
import { offerRequestScope } from "./request_scope.ts";

export default async function (pi: ExtensionAPI) {
	guardToolCalls(pi);
	offerRequestScope(pi);
	await forwardToGateway();
}
