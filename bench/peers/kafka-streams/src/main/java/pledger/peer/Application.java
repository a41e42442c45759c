package pledger.peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** A Kafka Streams application with its state in a folder that goes with it. */
final class Application implements AutoCloseable {
    private static final Duration TO_RUN = Duration.ofSeconds(90);
    private static final Duration TO_CLOSE = Duration.ofSeconds(60);

    private final Path folder;
    private final KafkaStreams streams;
    private final AtomicReference<Throwable> failed = new AtomicReference<>();

    Application(Options options, Topics topics, Topology topology) throws IOException {
        folder = Files.createTempDirectory("kafka-streams-peer-");
        try {
            streams = new KafkaStreams(topology, properties(options, topics));
        } catch (RuntimeException e) {
            remove();
            throw e;
        }
        streams.setUncaughtExceptionHandler(
                error -> {
                    failed.compareAndSet(null, error);
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
    }

    /**
     * The cache, and with it one changelog record for all changes of an account between two commits, is what the DSL has by
     * itself. Batches are larger than by default and compressed, as they are on pledger's side.
     */
    private Properties properties(Options options, Topics topics) {
        var properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.kafka);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, topics.applicationId());
        properties.put(StreamsConfig.STATE_DIR_CONFIG, folder.toString());
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, options.guarantee);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, options.commitMs);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, options.threads);
        properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, options.replicas);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 << 20);
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 64 << 10);
        properties.putAll(options.properties);
        return properties;
    }

    void start() {
        streams.start();
    }

    KafkaStreams streams() {
        return streams;
    }

    /** Until every partition is worked on. */
    void awaitRunning() throws InterruptedException {
        var deadline = System.nanoTime() + TO_RUN.toNanos();
        while (streams.state() != KafkaStreams.State.RUNNING) {
            check();
            if (System.nanoTime() > deadline) {
                throw new Failure("Kafka Streams does not run after " + TO_RUN.toSeconds() + " s, it is " + streams.state());
            }
            Thread.sleep(1);
        }
    }

    void check() {
        if (failed.get() != null) {
            throw new Failure("Kafka Streams failed", failed.get());
        }
    }

    @Override
    public void close() throws IOException {
        var closed = streams.close(TO_CLOSE);
        remove();
        if (!closed) {
            throw new Failure("Kafka Streams did not close within " + TO_CLOSE.toSeconds() + " s");
        }
    }

    private void remove() throws IOException {
        try (var paths = Files.walk(folder)) {
            for (var path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
