package pledger.peer;

import java.time.Duration;
import java.util.HashSet;
import pledger.peer.Deals.Refusal;
import pledger.peer.Deals.Refused;

/** What a ledger holds once a run is over. */
record Ledger(long events, long refused, double eventBytes) {
    private static final Duration TO_READ = Duration.ofSeconds(120);

    /** Reads all of it, and fails unless there is one decision for each command, and rivals alone are refused. */
    static Ledger read(Options options, Topics topics, long commands, long rivals) {
        long events = 0;
        long refused = 0;
        long bytes = 0;
        var keys = new HashSet<String>();
        var deadline = System.nanoTime() + TO_READ.toNanos();
        var decisions = Deciding.DECISIONS.deserializer();
        var ends = topics.ledgerEnds();
        try (var reader = Clients.reader(options, topics)) {
            while (ends.entrySet().stream().anyMatch(end -> reader.position(end.getKey()) < end.getValue())) {
                if (System.nanoTime() > deadline) {
                    throw new Failure("the ledger was not read within " + TO_READ.toSeconds() + " s");
                }
                for (var one : reader.poll(Duration.ofMillis(100))) {
                    var decision = decisions.deserialize(one.topic(), one.value());
                    var key = decision.context().key();
                    if (!keys.add(key)) {
                        throw new Failure("the ledger has two decisions of the command " + key);
                    }
                    var isProtected = decision instanceof Refused no && no.refusal() == Refusal.ACCOUNT_PROTECTED;
                    if (isProtected != key.endsWith("-rival") || decision instanceof Refused && !isProtected) {
                        throw new Failure("the command " + key + " was decided as " + decision);
                    }
                    if (isProtected) {
                        refused++;
                    } else {
                        events++;
                        bytes += one.value().length;
                    }
                }
            }
        }
        if (refused != rivals || events + refused != commands) {
            var came = "of %,d commands with %,d rivals came %,d events and %,d refusals";
            throw new Failure(came.formatted(commands, rivals, events, refused));
        }
        return new Ledger(events, refused, Math.round(10.0 * bytes / events) / 10.0);
    }
}
