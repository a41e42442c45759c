package pledger.peer;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import pledger.peer.Deals.DealApproved;
import pledger.peer.Deals.DealRegistered;
import pledger.peer.Deals.DealWon;
import pledger.peer.Deals.Decision;
import pledger.peer.Deals.Refused;
import pledger.peer.Deals.Stage;
import pledger.peer.Deals.StageAdvanced;

/**
 * Counts and sums deals by region and stage. Each partition has its part of the view, and who asks adds them up: a
 * repartition topic would make one of them, and cost more.
 */
final class Pipeline implements Processor<String, Decision, Void, Void> {
    private static final String DEALS = "deals";
    private static final String PARTS = "parts";

    private Tables tables;

    /** Where a deal was counted last. */
    record Counted(String region, Stage stage, long amount) {
        String place() {
            return region + "/" + stage;
        }
    }

    record Tally(long deals, long amount) {
        Tally plus(Tally other) {
            return new Tally(deals + other.deals, amount + other.amount);
        }
    }

    /** The two tables that the fold needs, wherever they are: where a deal was counted last, and what is counted at a place. */
    record Tables(Function<String, Counted> counted, BiConsumer<String, Counted> count, BiConsumer<String, Tally> add) {}

    static void fold(Decision decision, Tables tables) {
        if (decision instanceof Refused) {
            return;
        }
        var before = decision instanceof DealRegistered ? null : tables.counted().apply(decision.dealId());
        var after = after(decision, before);
        if (before != null) {
            tables.add().accept(before.place(), new Tally(-1, -before.amount()));
        }
        tables.add().accept(after.place(), new Tally(1, after.amount()));
        tables.count().accept(decision.dealId(), after);
    }

    private static Counted after(Decision decision, Counted before) {
        if (decision instanceof DealRegistered registered) {
            return new Counted(registered.registration().region(), Stage.REGISTERED, registered.registration().amount());
        } else if (decision instanceof DealApproved) {
            return new Counted(before.region(), Stage.APPROVED, before.amount());
        } else if (decision instanceof StageAdvanced advanced) {
            return new Counted(before.region(), advanced.to(), before.amount());
        } else if (decision instanceof DealWon won) {
            return new Counted(before.region(), Stage.WON, won.amount());
        }
        throw new IllegalArgumentException("nothing to count in " + decision);
    }

    static Topology topology(Topics topics) {
        return new Topology()
                .addSource("ledger", Serdes.String().deserializer(), Deciding.DECISIONS.deserializer(), topics.ledger())
                .addProcessor("fold", Pipeline::new, "ledger")
                .addStateStore(store(DEALS, Counted.class), "fold")
                .addStateStore(store(PARTS, Tally.class), "fold");
    }

    private static <T> StoreBuilder<KeyValueStore<String, T>> store(String name, Class<T> type) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), Json.serde(type)).withCachingEnabled();
    }

    /** The whole view, as somebody would ask for it. */
    static Map<String, Tally> ask(Application application) {
        var view = new TreeMap<String, Tally>();
        var parts = StoreQueryParameters.fromNameAndType(PARTS, QueryableStoreTypes.<String, Tally>keyValueStore());
        try (var all = application.streams().store(parts).all()) {
            all.forEachRemaining(part -> view.merge(part.key, part.value, Tally::plus));
        }
        return view;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        KeyValueStore<String, Counted> deals = context.getStateStore(DEALS);
        KeyValueStore<String, Tally> parts = context.getStateStore(PARTS);
        tables = new Tables(deals::get, deals::put, (place, tally) -> {
            var known = parts.get(place);
            parts.put(place, known == null ? tally : known.plus(tally));
        });
    }

    @Override
    public void process(Record<String, Decision> decision) {
        fold(decision.value(), tables);
    }
}
