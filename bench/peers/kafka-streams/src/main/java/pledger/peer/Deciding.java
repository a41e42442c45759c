package pledger.peer;

import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import pledger.peer.Deals.Command;
import pledger.peer.Deals.Decision;

/** Decides each command on its account, which stands in RocksDB with a changelog. */
final class Deciding implements Processor<String, Command, String, Decision> {
    static final Serde<Command> COMMANDS = Json.serde(Command.class);
    static final Serde<Decision> DECISIONS = Json.serde(Decision.class);
    private static final String ACCOUNTS = "accounts";

    private ProcessorContext<String, Decision> context;
    private KeyValueStore<String, Account> accounts;

    static Topology topology(Topics topics) {
        var strings = Serdes.String();
        var store = Stores.persistentKeyValueStore(ACCOUNTS);
        return new Topology()
                .addSource("commands", strings.deserializer(), COMMANDS.deserializer(), topics.commands())
                .addProcessor("decide", Deciding::new, "commands")
                .addStateStore(Stores.keyValueStoreBuilder(store, strings, StoredAccount.serde()).withCachingEnabled(), "decide")
                .addSink("ledger", topics.ledger(), strings.serializer(), DECISIONS.serializer(), "decide");
    }

    @Override
    public void init(ProcessorContext<String, Decision> given) {
        context = given;
        accounts = given.getStateStore(ACCOUNTS);
    }

    @Override
    public void process(Record<String, Command> command) {
        var known = accounts.get(command.key());
        var account = known == null ? Account.empty() : known;
        var decision = account.decide(command.value());
        if (account.evolve(decision)) {
            accounts.put(command.key(), account);
        }
        context.forward(command.withValue(decision));
    }
}
