package pledger.peer;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import pledger.peer.Deals.Command;

/** Commands that lie in the topic, decided into the ledger. */
record DecidingRun(
        String mode,
        @JsonUnwrapped Setup setup,
        long commands,
        long events,
        long refused,
        double eventBytes,
        @JsonUnwrapped Pace pace,
        long offsetsNotDecisions)
        implements Result {

    static DecidingRun measure(Options options, Topics topics) throws Exception {
        var rivals = fill(options, topics);
        Pace pace;
        try (var application = new Application(options, topics, Deciding.topology(topics))) {
            pace = Pace.watch(options, application, topics::visible);
        }
        var ledger = Ledger.read(options, topics, options.commands, rivals);
        return new DecidingRun(
                "deciding",
                Setup.of(options),
                options.commands,
                ledger.events(),
                ledger.refused(),
                ledger.eventBytes(),
                pace,
                pace.last() - options.commands);
    }

    /** Puts the commands into the topic; answers how many are a rival's. */
    private static long fill(Options options, Topics topics) {
        var workload = new Workload(options.lanes);
        long rivals = 0;
        try (var writer = new Clients.Writer<Command>(options, topics.commands(), Deciding.COMMANDS, Clients.BULK)) {
            for (var at = 0; at < options.commands; at++) {
                var sent = workload.next();
                rivals += sent.isRival() ? 1 : 0;
                writer.write(sent.command().accountId(), sent.command());
            }
            writer.flush();
        }
        System.err.printf("%,d commands lie in the topic%n", options.commands);
        return rivals;
    }

    @Override
    public String words() {
        return ("%s: %,.0f decisions/s from start() to visible, %,.0f from the first tenth on; the first after %.2f s;"
                        + " %.1f s on a core for %,d commands (%,d events, %,d refused)")
                .formatted(
                        setup.words(),
                        pace.perSecond(),
                        pace.fromFirstTenthPerSecond(),
                        pace.firstSeconds(),
                        pace.cpuSeconds(),
                        commands,
                        events,
                        refused);
    }
}
