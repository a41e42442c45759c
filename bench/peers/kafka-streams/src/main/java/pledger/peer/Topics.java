package pledger.peer;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;

/** The topics of one run. Their names tell them from those of others; they go with it. */
final class Topics implements AutoCloseable {
    private static final int TIMEOUT_MS = 15_000;

    private final Options options;
    private final Admin admin;
    private final String prefix = "kafka-streams-peer-" + UUID.randomUUID().toString().substring(0, 8);
    private boolean areMade;

    Topics(Options options) {
        this.options = options;
        var timeouts = Map.of("default.api.timeout.ms", TIMEOUT_MS, "request.timeout.ms", TIMEOUT_MS);
        var config = new HashMap<String, Object>(timeouts);
        config.put("bootstrap.servers", options.kafka);
        admin = Admin.create(config);
    }

    /** Names the changelogs of the stores too, which begin with it. */
    String applicationId() {
        return prefix;
    }

    String commands() {
        return prefix + "-commands";
    }

    String ledger() {
        return prefix + "-ledger";
    }

    List<TopicPartition> ledgerPartitions() {
        return partitions(ledger());
    }

    private List<TopicPartition> partitions(String topic) {
        return IntStream.range(0, options.partitions).mapToObj(partition -> new TopicPartition(topic, partition)).toList();
    }

    void create() {
        var inSync = Map.of("min.insync.replicas", String.valueOf(Math.max(1, options.replicas - 1)));
        var topics = Stream.of(commands(), ledger());
        var made = topics.map(name -> new NewTopic(name, options.partitions, (short) options.replicas).configs(inSync)).toList();
        await("no topics can be made at " + options.kafka, admin.createTopics(made).all());
        areMade = true;
        // Not before every partition answers: one that takes a producer's second batch and not its first never takes the first.
        Stream.of(commands(), ledger()).forEach(this::ends);
    }

    /** Where a read_committed consumer's view of the ledger ends, all partitions together. */
    long visible() {
        return ledgerEnds().values().stream().mapToLong(Long::longValue).sum();
    }

    /** The same, partition by partition. */
    Map<TopicPartition, Long> ledgerEnds() {
        return ends(ledger());
    }

    private Map<TopicPartition, Long> ends(String topic) {
        var latest = partitions(topic).stream().collect(Collectors.toMap(partition -> partition, partition -> OffsetSpec.latest()));
        var found = admin.listOffsets(latest, new ListOffsetsOptions(IsolationLevel.READ_COMMITTED)).all();
        var ends = await("the ends of " + topic + " are not known", found).entrySet().stream();
        return ends.collect(Collectors.toMap(Map.Entry::getKey, end -> end.getValue().offset()));
    }

    /** How many records of the ledger the application has taken in for good. */
    long takenIn() {
        var group = Map.of(applicationId(), new ListConsumerGroupOffsetsSpec().topicPartitions(ledgerPartitions()));
        var stable = new ListConsumerGroupOffsetsOptions().requireStable(true);
        var offsets = await("the offsets of the application are not known", admin.listConsumerGroupOffsets(group, stable).all());
        return offsets.get(applicationId()).values().stream().mapToLong(offset -> offset == null ? 0 : offset.offset()).sum();
    }

    @Override
    public void close() {
        try (admin) {
            if (!areMade) {
                return;
            }
            var names = await("topics are not known", admin.listTopics().names());
            admin.deleteTopics(names.stream().filter(name -> name.startsWith(prefix)).toList()).all().get();
        } catch (Failure | ExecutionException e) {
            System.err.println("topics " + prefix + "-* are left behind: " + Failure.chain(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static <T> T await(String otherwise, KafkaFuture<T> future) {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw new Failure(otherwise, e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Failure(otherwise, e);
        }
    }
}
