/** Forwards connections on the room's loopback to the model gateway's socket: Pi speaks HTTP only over TCP. */
import { connect, createServer } from "node:net";
import { policy } from "./policy.ts";

export async function forwardToGateway() {
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
