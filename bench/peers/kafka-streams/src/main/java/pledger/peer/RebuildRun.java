package pledger.peer;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import pledger.peer.Deals.Decision;
import pledger.peer.Pipeline.Counted;
import pledger.peer.Pipeline.Tally;

/** A pipeline view folded from a ledger that is there. */
record RebuildRun(String mode, @JsonUnwrapped Setup setup, long records, @JsonUnwrapped Pace pace) implements Result {

    static RebuildRun measure(Options options, Topics topics) throws Exception {
        var expected = fill(options, topics);
        try (var application = new Application(options, topics, Pipeline.topology(topics))) {
            var pace = Pace.watch(options, application, topics::takenIn);
            var view = Pipeline.ask(application);
            if (!view.equals(expected)) {
                throw new Failure("the pipeline should be " + expected + ", and is " + view);
            }
            return new RebuildRun("rebuild", Setup.of(options), options.commands, pace);
        }
    }

    /** Writes the decisions of the workload, without Kafka Streams; answers the view that comes of them. */
    private static Map<String, Tally> fill(Options options, Topics topics) {
        var accounts = new HashMap<String, Account>();
        var deals = new HashMap<String, Counted>();
        var view = new TreeMap<String, Tally>();
        var tables = new Pipeline.Tables(deals::get, deals::put, (place, tally) -> view.merge(place, tally, Tally::plus));
        var workload = new Workload(options.lanes);
        try (var writer = new Clients.Writer<Decision>(options, topics.ledger(), Deciding.DECISIONS, Clients.BULK)) {
            for (var at = 0; at < options.commands; at++) {
                var command = workload.next().command();
                var account = accounts.computeIfAbsent(command.accountId(), id -> Account.empty());
                var decision = account.decide(command);
                account.evolve(decision);
                Pipeline.fold(decision, tables);
                writer.write(command.accountId(), decision);
            }
            writer.flush();
        }
        System.err.printf("%,d decisions lie in the ledger%n", options.commands);
        return view;
    }

    @Override
    public String words() {
        return ("%s: pipeline rebuilt at %,.0f records/s from start(), %,.0f from the first tenth on; the first commit after %.2f s;"
                        + " %.1f s on a core for %,d records")
                .formatted(
                        setup.words(), pace.perSecond(), pace.fromFirstTenthPerSecond(), pace.firstSeconds(), pace.cpuSeconds(), records);
    }
}
