/** What the agent may do, as the worker wrote it down, and what a path means under it. */
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";

export type Change = "create" | "modify" | "delete";

interface Policy {
	/** The workspace's folder. */
	workspace: string;
	/**
	 * What may happen to which files, relative to the workspace: those that are named, those that fit a pattern, and what
	 * nobody may be let change. The worker compiled the patterns; what `never` has wants folded names.
	 */
	scope: {
		files: Record<string, Change[]>;
		patterns: { pattern: string; change: Change; regex: string }[];
		never: { pattern: string; regex: string }[];
	};
	/** The program that runs a shell command in an inner room. */
	launcher: string;
	/** The home folder of shell commands, if it is not an empty one. */
	home: string | null;
	/** Seconds that a shell command may take if the model does not say, and at most. */
	bashSeconds: { usual: number; most: number };
	/** How many tools may be called. */
	toolCalls: number;
	/** How many more requests for scope people will look at, and what one may hold at most. */
	scopeRequests: { left: number; paths: number; reasonBytes: number };
	/** Where Pi expects the model, and the socket where it really is. */
	forward: { port: number; socket: string };
}

export const policy: Policy = JSON.parse(readFileSync(process.env.SALLYPORT_POLICY!, "utf8"));

const root = realpathSync(policy.workspace);
const patterns = policy.scope.patterns.map((entry) => ({ ...entry, regex: new RegExp(entry.regex) }));
const never = policy.scope.never.map((entry) => ({ ...entry, regex: new RegExp(entry.regex) }));

/** Pi itself reads `@x`, `~/x`, `file:///x` and odd spaces as something else than they say. */
const AMBIGUOUS = /^[@~]|^[a-z][a-z0-9+.-]*:|[\0-\x1f\x7f\u00a0\u1680\u2000-\u200b\u202f\u205f\u2028\u2029\u3000\ufeff]/i;

/** Whether a tool's argument is a path that can be taken for only one file. */
export function isPlain(path: unknown): path is string {
	return typeof path === "string" && !AMBIGUOUS.test(path);
}

/** What is at a path, a link for itself; nothing if nothing is there. */
export function find(path: string) {
	try {
		return lstatSync(path); // not existsSync: a link that leads nowhere is there, too
	} catch {
		return undefined;
	}
}

/** A path as it is written, made absolute; links are not followed. */
export function absolute(path: string): string {
	return resolve(root, path);
}

/** Where a path really leads, links followed, also if its last parts do not exist yet. Throws if a link leads nowhere. */
export function real(path: string): string {
	const missing: string[] = [];
	let current = absolute(path);
	while (!find(current) && dirname(current) !== current) {
		missing.unshift(basename(current));
		current = dirname(current);
	}
	return join(realpathSync(current), ...missing);
}

/** An absolute path as the scope names it. */
export function inside(path: string): string {
	return relative(root, path);
}

/** A name without case and Unicode form. */
function fold(name: string): string {
	return name.normalize("NFD").toUpperCase().toLowerCase().normalize("NFD");
}

/** The pattern by which the repository keeps the file at an absolute path from every agent. */
export function keptBy(path: string): string | undefined {
	const name = fold(inside(path));
	return never.find(({ regex }) => regex.test(name))?.pattern;
}

/** What may happen to the file at an absolute path. */
export function changes(path: string): Set<Change> {
	if (keptBy(path) !== undefined) return new Set();
	const name = inside(path);
	const named = Object.hasOwn(policy.scope.files, name) ? policy.scope.files[name]! : [];
	const fitting = patterns.filter(({ regex }) => regex.test(name)).map(({ change }) => change);
	return new Set([...named, ...fitting]);
}

/** The scope for the model. */
export function scopeInWords(): string {
	const files = Object.entries(policy.scope.files).map(([path, may]) => `${path} (${may.join(" or ")})`);
	return [...files, ...patterns.map(({ pattern, change }) => `${pattern} (${change})`)].join(", ");
}

/** Why nobody may ever use the file at an absolute path, or nothing. */
export function offLimits(path: string): string | undefined {
	const name = inside(path);
	if (name === "" || name === ".." || name.startsWith(`..${sep}`)) return `${path} is outside the workspace`;
	if (name.split(sep).some((part) => part.toLowerCase() === ".git")) return "git's own files are off limits";
	return undefined;
}
