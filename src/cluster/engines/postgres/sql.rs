//! The texts of the statements.

use bytestring::ByteString;

use super::PostgresOptions;

/// The texts of all statements, with the names of the tables in them.
#[derive(Clone, Debug)]
pub(super) struct Sql {
    pub(super) begin: ByteString,
    pub(super) renew: ByteString,
    pub(super) head: ByteString,
    pub(super) anchor: ByteString,
    pub(super) append: ByteString,
    pub(super) import: ByteString,
    pub(super) read: ByteString,
    pub(super) trim: ByteString,
    pub(super) notify: ByteString,
    pub(super) attachment: ByteString,
    pub(super) sweep_attachments: ByteString,
    pub(super) store: ByteString,
    pub(super) replace: ByteString,
    pub(super) fetch: ByteString,
    pub(super) take: ByteString,
    pub(super) sweep_sessions: ByteString,
}

impl Sql {
    pub(super) fn new(options: &PostgresOptions) -> Self {
        let fill = |text: &str| {
            let text = text.replace("{p}", &options.table_prefix);
            ByteString::from(text.replace("{a}", &options.attachments_table))
        };
        Self {
            begin: fill(BEGIN),
            renew: fill(RENEW),
            head: fill("SELECT epoch, trimmed, head FROM {p}_channel"),
            anchor: fill(ANCHOR),
            append: fill(APPEND),
            import: fill(IMPORT),
            read: fill(
                "SELECT entry, message, origin, importer FROM {p}_entries
                WHERE entry > $1 ORDER BY entry",
            ),
            trim: fill(TRIM),
            notify: fill(NOTIFY),
            attachment: fill("SELECT payload FROM {a} WHERE id = $1"),
            sweep_attachments: fill(
                "DELETE FROM {a} WHERE created_at < now() - interval '30 seconds'",
            ),
            store: fill(STORE),
            replace: fill(REPLACE),
            fetch: fill(FETCH),
            take: fill(TAKE),
            sweep_sessions: fill(SWEEP_SESSIONS),
        }
    }
}

const BEGIN: &str = "INSERT INTO {p}_channel (id, epoch, lineage) VALUES (0, $1, $2)
    ON CONFLICT (id) DO NOTHING";

/// Positions of another history of the database are not positions of this one.
const RENEW: &str = "UPDATE {p}_channel
    SET epoch = $1, lineage = $2, trimmed = head, trimmed_anchor = anchor WHERE lineage <> $2";

const ANCHOR: &str = "UPDATE {p}_channel SET anchor = anchor + 1 WHERE epoch = $1
    RETURNING anchor, pg_notify($2::text, epoch || ':' || anchor)::text";

/// The row of the channel is locked from its update until the transaction ends, so the order in which
/// transactions commit is that of the entries, and that of the notifications.
const APPEND: &str = "WITH input AS MATERIALIZED (
        SELECT i, message, sum(octet_length(message)) OVER (ORDER BY i) AS bytes,
            channel, header, attachment, CASE WHEN attachment IS NOT NULL
                THEN nextval(pg_get_serial_sequence('{a}', 'id')) END AS attachment_id
        FROM unnest($2::bytea[], $3::text[], $4::text[], $5::bytea[])
            WITH ORDINALITY AS t(message, channel, header, attachment, i)
    ), total AS MATERIALIZED (
        SELECT count(*) AS entries, sum(octet_length(message)) AS bytes FROM input
    ), channel AS (
        UPDATE {p}_channel c
        SET head = c.head + t.entries, bytes = c.bytes + t.bytes, anchor = c.anchor + 1
        FROM total t WHERE c.epoch = $1
        RETURNING c.epoch, c.anchor, c.head, c.head - t.entries AS before,
            c.bytes - t.bytes AS bytes_before
    ), entries AS (
        INSERT INTO {p}_entries (entry, bytes, at, message)
        SELECT c.before + i.i, c.bytes_before + i.bytes, clock_timestamp(), i.message
        FROM input i, channel c
    ), attached AS (
        INSERT INTO {a} (id, payload)
        SELECT i.attachment_id, i.attachment FROM input i, channel WHERE i.attachment IS NOT NULL
    )
    SELECT c.head, (
        SELECT count(pg_notify(n.name, n.payload)::text) FROM (
            SELECT 0::bigint AS i, $6::text AS name, c.epoch || ':' || c.anchor AS payload
            UNION ALL
            SELECT i.i, i.channel, CASE WHEN i.attachment IS NULL
                THEN convert_from(i.message, 'UTF8')
                ELSE i.header || i.attachment_id || '\"}' END
            FROM input i WHERE i.channel IS NOT NULL
            ORDER BY 1
        ) n
    ) FROM channel c";

/// All nodes that hear a message of another kind of node may import it. The first one does.
const IMPORT: &str = "WITH locked AS MATERIALIZED (
        SELECT trimmed_anchor FROM {p}_channel WHERE epoch = $1 FOR UPDATE
    ), input AS MATERIALIZED (
        SELECT message, anchor, channel, number, i
        FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::bigint[])
            WITH ORDINALITY AS t(message, anchor, channel, number, i)
    ), reserved AS (
        INSERT INTO {p}_imports (anchor, channel, number, at)
        SELECT i.anchor, i.channel, i.number, clock_timestamp() FROM input i, locked l
        WHERE i.anchor > l.trimmed_anchor
        ON CONFLICT DO NOTHING RETURNING anchor, channel, number
    ), fresh AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY i) AS i, message,
            sum(octet_length(message)) OVER (ORDER BY i) AS bytes,
            anchor || '/' || number || '/' || channel AS origin
        FROM input JOIN reserved USING (anchor, channel, number)
    ), total AS MATERIALIZED (
        SELECT count(*) AS entries, sum(octet_length(message)) AS bytes FROM fresh
    ), channel AS (
        UPDATE {p}_channel c
        SET head = c.head + t.entries, bytes = c.bytes + t.bytes, anchor = c.anchor + 1
        FROM total t WHERE c.epoch = $1 AND t.entries > 0
        RETURNING c.epoch, c.anchor, c.head, c.head - t.entries AS before,
            c.bytes - t.bytes AS bytes_before
    ), entries AS (
        INSERT INTO {p}_entries (entry, bytes, at, message, origin, importer)
        SELECT c.before + f.i, c.bytes_before + f.bytes, clock_timestamp(), f.message, f.origin, $6::text
        FROM fresh f, channel c
    )
    SELECT c.head, pg_notify($7::text, c.epoch || ':' || c.anchor)::text FROM channel c";

/// It sees one state of the database, so what it does not see it does not delete.
const TRIM: &str = "WITH kept AS MATERIALIZED (
        SELECT least(c.trimmed + 20000, coalesce((
            SELECT e.entry - 1 FROM {p}_entries e
            WHERE e.entry > c.trimmed AND e.entry > c.head - $1 AND e.bytes > c.bytes - $2
                AND e.at >= clock_timestamp() - $3::bigint * interval '1 millisecond'
            ORDER BY e.entry LIMIT 1
        ), c.head)) AS before FROM {p}_channel c
    ), gone AS (
        DELETE FROM {p}_entries e USING kept k WHERE e.entry <= k.before
    ), stale AS (
        DELETE FROM {p}_imports WHERE at < clock_timestamp() - interval '5 minutes'
        RETURNING anchor
    ), latest AS MATERIALIZED (
        SELECT coalesce(max(anchor), 0) AS anchor FROM stale
    )
    UPDATE {p}_channel c
    SET trimmed = greatest(c.trimmed, k.before),
        trimmed_anchor = greatest(c.trimmed_anchor, l.anchor)
    FROM kept k, latest l WHERE k.before > c.trimmed OR l.anchor > c.trimmed_anchor";

const NOTIFY: &str = "WITH input AS MATERIALIZED (
        SELECT i, channel, payload, attachment, CASE WHEN attachment IS NOT NULL
            THEN nextval(pg_get_serial_sequence('{a}', 'id')) END AS attachment_id
        FROM unnest($1::text[], $2::text[], $3::bytea[])
            WITH ORDINALITY AS t(channel, payload, attachment, i)
    ), attached AS (
        INSERT INTO {a} (id, payload)
        SELECT attachment_id, attachment FROM input WHERE attachment IS NOT NULL
    )
    SELECT count(pg_notify(n.channel, n.payload || coalesce(n.attachment_id || '\"}', ''))::text)
    FROM (SELECT * FROM input ORDER BY i) n";

/// In the order of the keys, as everything that locks several sessions, so that no two lock each other
/// out.
const STORE: &str = "INSERT INTO {p}_sessions (pid, expires_at, session, version)
    SELECT pid, clock_timestamp() + ms * interval '1 millisecond', session, version
    FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[]) AS t(pid, ms, session, version)
    ORDER BY pid
    ON CONFLICT (pid) DO UPDATE SET expires_at = excluded.expires_at, session = excluded.session,
        version = excluded.version";

const REPLACE: &str = "WITH input AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[])
            AS t(pid, ms, session, version, replaced)
    ), locked AS MATERIALIZED (
        SELECT s.pid FROM {p}_sessions s WHERE s.pid = ANY ($1::text[]) ORDER BY s.pid FOR UPDATE
    )
    UPDATE {p}_sessions s
    SET expires_at = clock_timestamp() + i.ms * interval '1 millisecond', session = i.session,
        version = i.version
    FROM input i, locked l
    WHERE s.pid = i.pid AND l.pid = i.pid AND s.version = i.replaced
        AND s.expires_at > clock_timestamp()
    RETURNING s.pid";

const FETCH: &str = "SELECT pid, session,
        (extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint
    FROM {p}_sessions WHERE pid = ANY ($1::text[])";

const TAKE: &str = "WITH input AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[]) AS i (pid, version)
    ), locked AS MATERIALIZED (
        SELECT s.pid FROM {p}_sessions s WHERE s.pid = ANY ($1::text[]) ORDER BY s.pid FOR UPDATE
    )
    DELETE FROM {p}_sessions s USING input i, locked l
    WHERE s.pid = i.pid AND l.pid = i.pid AND s.version = i.version
    RETURNING s.pid, s.session,
        (extract(epoch FROM s.expires_at - clock_timestamp()) * 1000)::bigint";

const SWEEP_SESSIONS: &str = "DELETE FROM {p}_sessions WHERE pid IN (
        SELECT pid FROM {p}_sessions WHERE expires_at <= clock_timestamp()
        ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    )";
