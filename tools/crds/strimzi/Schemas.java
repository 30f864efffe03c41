import com.fasterxml.jackson.databind.BeanDescription;
import com.fasterxml.jackson.databind.DeserializationConfig;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.introspect.AnnotatedMember;
import com.fasterxml.jackson.databind.introspect.BeanPropertyDefinition;
import com.fasterxml.jackson.databind.jsontype.NamedType;
import io.strimzi.crdgenerator.annotations.Maximum;
import io.strimzi.crdgenerator.annotations.Minimum;
import io.strimzi.crdgenerator.annotations.Pattern;
import io.strimzi.crdgenerator.annotations.PresentInVersions;
import io.strimzi.crdgenerator.annotations.RequiredInVersions;
import java.io.File;
import java.lang.annotation.Annotation;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The JSON schemas of Strimzi's kinds, read from the classes that its operator reads them with: properties, types,
 * values of enumerations, bounds, and what version v1 asks for and no longer has. Subtypes (storage, authentication)
 * count as one type with the properties of all, as in Strimzi's own definitions.
 */
public final class Schemas {
    private static final List<String> VERSIONS = List.of("v1alpha1", "v1beta1", "v1beta2", "v1");
    private static final Map<String, String> SPECS = Map.of(
            "Kafka", "io.strimzi.api.kafka.model.kafka.KafkaSpec",
            "KafkaNodePool", "io.strimzi.api.kafka.model.nodepool.KafkaNodePoolSpec",
            "KafkaTopic", "io.strimzi.api.kafka.model.topic.KafkaTopicSpec",
            "KafkaUser", "io.strimzi.api.kafka.model.user.KafkaUserSpec");

    private final ObjectMapper mapper = new ObjectMapper();
    private final DeserializationConfig config = mapper.getDeserializationConfig();
    private final Deque<Class<?>> within = new ArrayDeque<>();

    public static void main(String[] arguments) throws Exception {
        Schemas schemas = new Schemas();
        Map<String, Object> all = new LinkedHashMap<>();
        for (Map.Entry<String, String> spec : SPECS.entrySet()) {
            all.put(spec.getKey(), schemas.of(schemas.mapper.constructType(Class.forName(spec.getValue()))));
        }
        schemas.mapper.writeValue(new File(arguments[0]), all);
    }

    private Map<String, Object> of(JavaType type) {
        Class<?> raw = type.getRawClass();
        if (type.isEnumType()) {
            return enumeration(raw);
        }
        if (type.isMapLikeType()) {
            return Map.of("type", "object", "additionalProperties", of(type.getContentType()));
        }
        if (type.isContainerType()) {
            return Map.of("type", "array", "items", of(type.getContentType()));
        }
        if (raw == String.class) {
            return Map.of("type", "string");
        }
        if (raw == boolean.class || raw == Boolean.class) {
            return Map.of("type", "boolean");
        }
        if (raw == int.class || raw == long.class || Integer.class == raw || Long.class == raw) {
            return Map.of("type", "integer");
        }
        if (raw == double.class || raw == float.class || Number.class.isAssignableFrom(raw)) {
            return Map.of("type", "number");
        }
        if (raw == Object.class || within.contains(raw)) {
            return Map.of();
        }
        JsonDeserialize own = raw.getAnnotation(JsonDeserialize.class);
        if (own != null && own.using() != JsonDeserializer.None.class) {
            return Map.of("type", List.of("string", "integer", "number")); // quantities, ports
        }
        within.push(raw);
        try {
            return object(type);
        } finally {
            within.pop();
        }
    }

    private Map<String, Object> object(JavaType type) {
        Map<String, Object> properties = new LinkedHashMap<>();
        Set<String> required = new LinkedHashSet<>();
        BeanDescription described = config.introspect(type);
        collect(described, properties, required);
        Set<String> names = new TreeSet<>();
        for (NamedType sub : config.getSubtypeResolver()
                .collectAndResolveSubtypesByClass(config, described.getClassInfo())) {
            if (sub.getType() != type.getRawClass()) {
                collect(config.introspect(mapper.constructType(sub.getType())), properties, new LinkedHashSet<>());
                if (sub.hasName()) {
                    names.add(sub.getName());
                }
            }
        }
        if (!names.isEmpty()) {
            properties.put("type", Map.of("type", "string", "enum", new ArrayList<>(names)));
            required.add("type");
        }
        Map<String, Object> made = new LinkedHashMap<>();
        made.put("type", "object");
        made.put("properties", properties);
        made.put("additionalProperties", false);
        if (!required.isEmpty()) {
            made.put("required", new ArrayList<>(required));
        }
        return made;
    }

    private void collect(BeanDescription described, Map<String, Object> properties, Set<String> required) {
        for (BeanPropertyDefinition property : described.findProperties()) {
            if (!property.couldDeserialize() || !present(property)) {
                continue;
            }
            Map<String, Object> schema = new LinkedHashMap<>(of(property.getPrimaryType()));
            Minimum least = annotation(property, Minimum.class);
            Maximum most = annotation(property, Maximum.class);
            Pattern pattern = annotation(property, Pattern.class);
            if (least != null) {
                schema.put("minimum", least.value());
            }
            if (most != null) {
                schema.put("maximum", most.value());
            }
            if (pattern != null) {
                schema.put("pattern", pattern.value());
            }
            properties.put(property.getName(), schema);
            RequiredInVersions since = annotation(property, RequiredInVersions.class);
            if (property.isRequired() || since != null && holds(since.value())) {
                required.add(property.getName());
            }
        }
    }

    private static boolean present(BeanPropertyDefinition property) {
        PresentInVersions present = annotation(property, PresentInVersions.class);
        return present == null || holds(present.value());
    }

    /** Whether a range of versions ("v1beta2", "v1alpha1-v1beta2", "v1+") holds for v1. */
    private static boolean holds(String range) {
        return range.endsWith("+") || VERSIONS.get(VERSIONS.size() - 1).equals(range.substring(range.indexOf('-') + 1));
    }

    private static <A extends Annotation> A annotation(BeanPropertyDefinition property, Class<A> type) {
        for (AnnotatedMember member : new AnnotatedMember[] {
            property.getField(), property.getGetter(), property.getSetter()}) {
            A found = member == null ? null : member.getAnnotated().getAnnotation(type);
            if (found != null) {
                return found;
            }
        }
        return null;
    }

    private Map<String, Object> enumeration(Class<?> type) {
        List<Object> values = new ArrayList<>();
        for (Object constant : type.getEnumConstants()) {
            values.add(mapper.convertValue(constant, String.class));
        }
        return Map.of("type", "string", "enum", values);
    }
}
